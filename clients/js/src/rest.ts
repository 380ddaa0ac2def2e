/** The calls of the REST API that pages of end users need, typed: docs/api/README.md. */

import type { Http, Upload } from "./http.js";
import type {
  Attachment,
  Changed,
  Choice,
  Conversation,
  CountsAnswer,
  Entry,
  Found,
  History,
  InboxPage,
  Item,
  Links,
  Page,
  Period,
  Preferences,
  QuietHours,
} from "./wire.js";

/** A page's `next` or `previous` as the `cursor` of another call. */
export function cursor(link: string | null): string | undefined {
  return (link && new URL(link).searchParams.get("cursor")) || undefined;
}

export interface NewEntry {
  body?: string;
  client_id?: string;
  reply_to?: string | null;
  mentions?: string[];
  attachments?: string[];
}

export class Conversations {
  constructor(private readonly http: Http) {}

  list(query: { archived?: boolean; kind?: string; status?: string; cursor?: string | undefined; limit?: number } = {}) {
    return this.http.request<Page<Conversation>>("GET", "conversations", undefined, query);
  }

  /** With one other person: the conversation that the two have, new or not. */
  start(kind: Conversation["kind"], participants: string[], title?: string) {
    return this.http.request<Conversation>("POST", "conversations", { kind, participants, ...(title && { title }) });
  }

  get(id: string) {
    return this.http.request<Conversation>("GET", of(id));
  }

  /** The latest; `before` a seq; `from` one, or a `date`, on; `around` an entry; `after` a seq, by `changed_seq`. Oldest first. */
  entries(
    id: string,
    query: { before?: number; from?: number; around?: string; after?: number; date?: string; limit?: number } = {},
  ) {
    return this.http.request<History>("GET", `${of(id)}/entries`, undefined, query);
  }

  /** By REST. `CommsClient.send` keeps what cannot be sent now. */
  write(id: string, entry: NewEntry) {
    return this.http.request<Entry>("POST", `${of(id)}/entries`, entry);
  }

  edit(id: string, entry: string, body: string) {
    return this.http.request<Entry>("PATCH", `${of(id)}/entries/${encodeURIComponent(entry)}`, { body });
  }

  remove(id: string, entry: string) {
    return this.http.request<null>("DELETE", `${of(id)}/entries/${encodeURIComponent(entry)}`);
  }

  react(id: string, entry: string, emoji: string) {
    return this.http.request<Entry>("POST", `${of(id)}/reactions`, { entry, emoji });
  }

  unreact(id: string, entry: string, emoji: string) {
    return this.http.request<Entry>("DELETE", `${of(id)}/reactions`, { entry, emoji });
  }

  /** Then write an entry that names it in `attachments`. */
  upload(id: string, file: Blob, name: string, options?: Upload) {
    return this.http.upload<Attachment>(`${of(id)}/attachments`, file, name, options);
  }

  attachment(id: string, attachment: string) {
    return this.http.request<Links>("GET", `${of(id)}/attachments/${encodeURIComponent(attachment)}`);
  }

  search(q: string, query: { conversation?: string; cursor?: string; limit?: number } = {}) {
    return this.http.request<Page<Found>>("GET", "conversations/search", undefined, { q, ...query });
  }

  /** Null: not muted any more. */
  mute(id: string, until: string | null) {
    return this.http.request<Conversation>("POST", `${of(id)}/mute`, { until });
  }

  archive(id: string, on = true) {
    return this.http.request<Conversation>(on ? "POST" : "DELETE", `${of(id)}/archive`);
  }

  /** Take oneself out: `person` is one's own user id. */
  leave(id: string, person: string) {
    return this.http.request<null>("DELETE", `${of(id)}/participants/${encodeURIComponent(person)}`);
  }
}

/** Items by their ids; or all there are, with a tag or not. */
export type Which = { ids: string[] } | { all: true; tag?: string } | { before: string; tag?: string };

export class Inbox {
  constructor(private readonly http: Http) {}

  list(
    query: {
      filter?: "all" | "unread" | "unseen" | "archived" | "snoozed";
      tag?: string;
      category?: string;
      cursor?: string | undefined;
      limit?: number;
    } = {},
  ) {
    return this.http.request<InboxPage>("GET", "inbox", undefined, query);
  }

  counts(tag: string[] = []) {
    return this.http.request<CountsAnswer>("GET", "inbox/counts", undefined, { tag });
  }

  seen(which: Which) {
    return this.http.request<Changed>("POST", "inbox/seen", which);
  }

  read(which: Which) {
    return this.http.request<Changed>("POST", "inbox/read", which);
  }

  unread(ids: string[]) {
    return this.http.request<Changed>("POST", "inbox/read", { ids, undo: true });
  }

  archive(which: Which) {
    return this.http.request<Changed>("POST", "inbox/archive", which);
  }

  unarchive(ids: string[]) {
    return this.http.request<Changed>("POST", "inbox/archive", { ids, undo: true });
  }

  snooze(ids: string[], until: Date) {
    return this.http.request<Changed>("POST", "inbox/snooze", { ids, until: until.toISOString() });
  }

  unsnooze(ids: string[]) {
    return this.http.request<Changed>("POST", "inbox/snooze", { ids, undo: true });
  }

  /** Press a button of an item. */
  act(id: string, action: string) {
    return this.http.request<Item>("POST", "inbox/act", { id, action });
  }
}

export class OwnPreferences {
  constructor(
    private readonly http: Http,
    private readonly person: () => Promise<string>,
  ) {}

  async get() {
    return this.http.request<Preferences>("GET", await this.#path());
  }

  /** Each choice is written, others stay. All or none. */
  async set(preferences: Choice[]) {
    return this.http.request<Preferences>("PUT", await this.#path(), { preferences });
  }

  async quietHours() {
    return this.http.request<QuietHours>("GET", await this.#path("quiet-hours"));
  }

  /** In place of those there were. */
  async setQuietHours(periods: Period[], timeZone?: string) {
    return this.http.request<QuietHours>("PUT", await this.#path("quiet-hours"), { periods, time_zone: timeZone });
  }

  async #path(what = "preferences"): Promise<string> {
    return `recipients/${encodeURIComponent(await this.person())}/${what}`;
  }
}

function of(conversation: string): string {
  return `conversations/${encodeURIComponent(conversation)}`;
}
