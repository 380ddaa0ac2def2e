/** A client of the communication service, for pages and programs. README.md has examples. */

import { CommsError } from "./http.js";
import { LiveClient, type Options } from "./live.js";
import { Conversations, cursor, Inbox, OwnPreferences } from "./rest.js";

export { CommsError, cursor };
export type { Query } from "./http.js";
export type { State } from "./line.js";
export type { EventMap, Options, Position, SendOptions, Sent, Subscription } from "./live.js";
export type { Unsent } from "./outbox.js";
export type * from "./wire.js";

export class CommsClient extends LiveClient {
  readonly conversations: Conversations;
  readonly inbox: Inbox;
  readonly preferences: OwnPreferences;

  constructor(options: Options) {
    super(options);
    this.conversations = new Conversations(this.http);
    this.inbox = new Inbox(this.http);
    this.preferences = new OwnPreferences(this.http, () => this.me());
  }
}
