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

export interface ClientOptions extends Options {
  /** Staff pages of the service itself: the session cookie and its CSRF token stand for a token. */
  session?: boolean;
}

export class CommsClient extends LiveClient {
  readonly conversations: Conversations;
  readonly inbox: Inbox;
  readonly preferences: OwnPreferences;

  constructor({ session, ...options }: ClientOptions) {
    super(session ? { ...options, headers: csrf, credentials: "same-origin" } : options);
    this.conversations = new Conversations(this.http);
    this.inbox = new Inbox(this.http);
    this.preferences = new OwnPreferences(this.http, () => this.me());
  }
}

function csrf(): Record<string, string> {
  const field = document.querySelector<HTMLInputElement>("input[name=csrfmiddlewaretoken]");
  const token = field?.value ?? /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1];
  return { "X-CSRFToken": token ?? "" };
}
