/** The socket of the service: follows, writes, keeps what cannot be sent now. */

import { Events, type Handler } from "./events.js";
import { claim, CommsError, Http, type HttpOptions, type Query } from "./http.js";
import { Line, type Frame, type SocketClass, type State } from "./line.js";
import { Outbox, type Unsent } from "./outbox.js";
import type {
  AnnouncementFrame,
  Conversation,
  CountsAnswer,
  Entry,
  EntryFrame,
  Hello,
  History,
  JoinedFrame,
  Key,
  MarkFrame,
  NotificationFrame,
  Page,
  PresenceFrame,
  Problem,
  TypingFrame,
} from "./wire.js";

export interface Options extends HttpOptions {
  /** Gives a one-time ticket that the page's own server got; then only the socket can be used. */
  ticket?: () => string | Promise<string>;
  /** The user's id, where it cannot be told from the token. */
  user?: string;
  /** Where unsent messages are kept; null: only in the page. `localStorage` unless told. */
  storage?: Storage | null;
  WebSocket?: SocketClass;
}

/** Where to follow from: the last seq that is held; null: from now. */
export type Position = number | null;

export interface Subscription {
  conversations?: Record<string, Position>;
  inbox?: Position;
  announcements?: Position;
  /** Null: nothing of it is kept. */
  own_conversations?: null;
  /** Other feeds of the service, by name. */
  [feed: string]: Position | Record<string, Position> | undefined;
}

export interface Sent {
  clientId: string;
  conversation: string;
  seq: number;
  /** The id of the entry. */
  entry: string;
}

export interface SendOptions {
  clientId?: string;
  replyTo?: string;
  mentions?: string[];
  /** Ids of what was uploaded. */
  attachments?: string[];
}

export interface EventMap {
  state: {
    state: State;
    /** When it is tried again, in milliseconds since 1970. */
    retryAt?: number;
    /** Why it is offline: `unreachable`, `crowd`, `no_socket`, or what the token's source has thrown. */
    error?: CommsError;
  };
  /** The token is refused: `connect()` again once there is another. */
  signedout: CommsError;
  entry: EntryFrame;
  "entry.changed": EntryFrame;
  read: MarkFrame;
  delivered: MarkFrame;
  /** A conversation is in this person's list from now on: subscribe to it. */
  joined: JoinedFrame;
  typing: TypingFrame;
  presence: PresenceFrame;
  notification: NotificationFrame;
  announcement: AnnouncementFrame;
  /** What is held of this key is out of date as a whole: fetch it anew. What follows `seq` comes. */
  reset: Key & { seq: number };
  /** The key is not there, or no longer for this person, and not followed any more. */
  gone: Key;
  sent: Sent;
  /** Refused for good: `retry` or `discard` it. */
  failed: Unsent;
  /** The list of unsent messages has changed. */
  unsent: { conversation: string };
  /** A frame without an id was refused. */
  error: Problem;
  /** Every other frame, by its type in the frame. */
  frame: Frame;
}

/** Of the frames that have a number: their feed, and the field with their key. */
const NUMBERED: Record<string, { feed: string; field?: string }> = {
  entry: { feed: "conversations", field: "conversation" },
  "entry.changed": { feed: "conversations", field: "conversation" },
  skip: { feed: "conversations", field: "conversation" }, // something of the team's own
  notification: { feed: "inbox" },
  announcement: { feed: "announcements" },
};
const UNNUMBERED = new Set(["read", "delivered", "joined", "typing", "presence", "error"]);

/** Changes of a conversation that are fetched one after the other; beyond it is `reset`. */
const MOST_MISSED = 2000;
const MOST_KEYS = 200;
/** Without a socket: how often is asked, and for how many conversations. */
const ASK_MS = 15_000;
const MOST_ASKED = 50;
const TYPING_MS = 2000;
const MARKS_MS = 250;
/** In a second: a connection may send 20 frames. */
const MARKS_AT_ONCE = 10;

/** One key that is followed. */
interface Followed extends Key {
  seq: Position;
  isAsked: boolean;
  /** Frames that wait for what was before them. */
  held: Frame[] | null;
  /** The position at which something seemed to be missing. */
  gapAt: Position;
  behindAt: Position;
}

export class LiveClient {
  readonly http: Http;
  /** Where what is not sent is kept. */
  readonly storage: Storage | null;

  readonly #options: Options;
  readonly #events = new Events<EventMap>();
  readonly #line: Line;
  readonly #outbox: Outbox;
  readonly #followed = new Map<string, Followed>();
  readonly #promises = new Map<string, { resolve: (sent: Sent) => void; reject: (error: unknown) => void }>();
  readonly #marks = new Map<string, { type: string; conversation: string; seq: number; isTold: boolean }>();
  readonly #typed = new Map<string, number>();
  readonly #watched = new Map<string, number>();
  #presence: Frame | null = null;
  #marksTimer: ReturnType<typeof setTimeout> | undefined;
  #asking: ReturnType<typeof setInterval> | undefined;
  #trouble: CommsError | undefined;
  #isFlushing = false;
  #me: Promise<string> | null = null;
  #isRestored = false;

  constructor(options: Options) {
    this.#options = options;
    this.http = new Http(options);
    this.storage = options.storage === undefined ? localStorageOrNull() : options.storage;
    this.#outbox = new Outbox(this.storage);
    const line = { url: this.http.socket, ticket: () => this.#ticket() };
    this.#line = new Line(options.WebSocket ? { ...line, WebSocket: options.WebSocket } : line, {
      opened: (hello) => this.#opened(hello),
      heard: (frame) => this.#heard(frame),
      changed: (state, retryAt, error) => {
        this.#trouble = state === "live" ? undefined : (error ?? this.#trouble);
        if (state === "live") this.#nowLive();
        this.#ask(!!options.token && this.#trouble?.code === "no_socket");
        this.#events.emit("state", { state, ...(retryAt !== undefined && { retryAt }), ...(error && { error }) });
      },
      ended: () => this.http.forget(),
      signedOut: (error) => this.#events.emit("signedout", error),
    });
  }

  get state(): State {
    return this.#line.state;
  }

  /** Why the last attempt failed, until one goes well. */
  get trouble(): CommsError | undefined {
    return this.#trouble;
  }

  connect(): void {
    void this.#restore();
    this.#line.connect();
  }

  /** What is subscribed to stays so, for another `connect()`. */
  close(): void {
    this.#line.close();
    this.#ask(false);
  }

  /** Hear of it; the answer ends it. */
  on<Type extends keyof EventMap>(type: Type, handler: Handler<EventMap[Type]>): () => void {
    return this.#events.on(type, handler);
  }

  /** The id of the user whose token it is. */
  me(): Promise<string> {
    this.#me ??= this.#whoAmI().catch((error: unknown) => {
      this.#me = null;
      throw error;
    });
    return this.#me;
  }

  /** Any other call of the REST API: `request("GET", "inbox/counts")`. */
  request<T>(method: string, path: string, body?: unknown, query?: Query): Promise<T> {
    return this.http.request<T>(method, path, body, query);
  }

  // --- Following ---------------------------------------------------------------------------------

  /**
   * Follow keys, now and after every reconnection; those that are followed already stay as they are.
   * Beyond what one connection may follow, conversations that were asked for longest ago are let go.
   */
  subscribe(what: Subscription): void {
    for (const [feed, value] of Object.entries(what)) {
      if (value === undefined) continue;
      const keys = typeof value === "object" && value !== null ? value : { "": value };
      for (const [key, seq] of Object.entries(keys)) {
        const place = named(feed, key);
        const fresh = { feed, key, seq, isAsked: false, held: null, gapAt: null, behindAt: null };
        const one = this.#followed.get(place) ?? fresh;
        this.#followed.delete(place); // to the end
        this.#followed.set(place, one);
      }
    }
    const tooMany = this.#followed.size - MOST_KEYS;
    if (tooMany > 0) {
      const longest = [...this.#followed.values()].filter(({ feed }) => feed === "conversations").slice(0, tooMany);
      this.unsubscribe({ conversations: longest.map(({ key }) => key) });
    }
    this.#askAgain();
  }

  unsubscribe(what: { conversations?: string[]; [feed: string]: string[] | true | undefined }): void {
    for (const [feed, keys] of Object.entries(what)) {
      for (const key of Array.isArray(keys) ? keys : [""]) this.#followed.delete(named(feed, key));
    }
    this.#line.send({ type: "unsubscribe", ...what });
  }

  /** The last seq that came of a key. */
  position(feed: string, key = ""): Position | undefined {
    return this.#followed.get(named(feed, key))?.seq;
  }

  /** Subscribe to what is not asked for yet. */
  async #follow(): Promise<void> {
    const wanted = [...this.#followed.values()].filter((one) => !one.isAsked);
    if (!wanted.length) return;
    const frame: Frame = { type: "subscribe" };
    for (const one of wanted) {
      one.isAsked = true;
      if (one.key === "") frame[one.feed] = one.seq;
      else frame[one.feed] = { ...(frame[one.feed] as object | undefined), [one.key]: one.seq };
    }
    const answer = await this.#line.ask(frame);
    const heads = answer["heads"] as Heads;
    for (const one of wanted) one.seq ??= headOf(heads, one) ?? 0;
    for (const { feed, key } of (answer["refused"] ?? []) as Key[]) this.#gone({ feed, key });
    await this.#follow(); // of what came meanwhile
  }

  #askAgain(...places: Followed[]): void {
    for (const one of places) one.isAsked = false;
    if (this.#line.isOpen) this.#follow().catch(() => this.#line.cut());
  }

  #gone({ feed, key }: Key): void {
    if (this.#followed.delete(named(feed, key))) this.#events.emit("gone", { feed, key });
  }

  // --- Writing -----------------------------------------------------------------------------------

  /**
   * Write into a conversation: now, or as soon as there is a connection; once, however often it has
   * to be sent. Resolves when the service has it, and rejects when the service refuses it.
   */
  send(conversation: string, body: string, options: SendOptions = {}): Promise<Sent> {
    const { clientId = newId(), ...more } = options;
    const sent = new Promise<Sent>((resolve, reject) => this.#promises.set(clientId, { resolve, reject }));
    sent.catch(() => undefined); // `failed` tells it too
    this.#outbox.put({ clientId, conversation, body, ...more, at: Date.now() });
    this.#events.emit("unsent", { conversation });
    void this.#restore();
    void (this.#asking ? this.#look() : this.#flush());
    return sent;
  }

  /** What is not acknowledged, or was refused (then it has an `error`). */
  unsent(conversation?: string): Unsent[] {
    return this.#outbox.list(conversation);
  }

  /** Send again what was refused. */
  retry(clientId: string): void {
    const found = this.#outbox.get(clientId);
    if (!found) return;
    const { error: _, ...message } = found;
    this.#outbox.put(message);
    this.#events.emit("unsent", message);
    void this.#flush();
  }

  discard(clientId: string): void {
    const found = this.#outbox.get(clientId);
    if (!found) return;
    this.#outbox.remove(clientId);
    this.#promises.get(clientId)?.reject(new CommsError(0, "discarded", "It was discarded."));
    this.#promises.delete(clientId);
    this.#events.emit("unsent", found);
  }

  /** One after the other, so that they come in the order in which they were written. */
  async #flush(): Promise<void> {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    for (let next; (this.state === "live" || this.#asking) && (next = this.#outbox.next()); ) {
      try {
        this.#sent(next, await (this.state === "live" ? this.#line.ask(asFrame(next)) : this.#post(next)));
      } catch (error) {
        if (!(error instanceof CommsError) || error.status === 0) break; // sent again when it is live
        if (error.isTemporary) await sleep(Math.max(1000, (error.retryAfter ?? 0) * 1000));
        else this.#refused(next, error);
      }
    }
    this.#isFlushing = false;
  }

  async #post(message: Unsent): Promise<Frame> {
    const { type, conversation, ...entry } = asFrame(message);
    const { seq, id } = await this.request<Entry>("POST", `conversations/${message.conversation}/entries`, entry);
    return { type, seq, entry: id };
  }

  #sent({ clientId, conversation }: Unsent, ack: Frame): void {
    const sent = { clientId, conversation, seq: Number(ack["seq"]), entry: String(ack["entry"]) };
    this.#outbox.remove(clientId);
    this.#promises.get(clientId)?.resolve(sent);
    this.#promises.delete(clientId);
    this.#events.emit("sent", sent);
    this.#events.emit("unsent", { conversation });
  }

  #refused(message: Unsent, error: CommsError): void {
    const failed = { ...message, error: { code: error.code, message: error.message } };
    if (this.#outbox.get(message.clientId)) this.#outbox.put(failed);
    this.#promises.get(message.clientId)?.reject(error);
    this.#promises.delete(message.clientId);
    this.#events.emit("failed", failed);
    this.#events.emit("unsent", message);
  }

  /** Messages of one person are not another's to send, who uses the same browser. */
  async #restore(): Promise<void> {
    if (this.#isRestored) return;
    try {
      const me = await this.me();
      if (this.#isRestored) return;
      this.#isRestored = true;
      this.#outbox.restore(`comms:${this.http.base}:${me}:`);
    } catch {
      return; // with the next connection
    }
    for (const conversation of new Set(this.unsent().map((one) => one.conversation))) {
      this.#events.emit("unsent", { conversation });
    }
    void this.#flush();
  }

  // --- Being there -------------------------------------------------------------------------------

  /** This person is writing. May be called with each key press. */
  typing(conversation: string): void {
    const now = Date.now();
    if (this.state !== "live" || now - (this.#typed.get(conversation) ?? 0) < TYPING_MS) return;
    this.#typed.set(conversation, now);
    this.#line.send({ type: "typing", conversation });
  }

  /** Everything up to `seq` is read. Told again until it is known. */
  read(conversation: string, seq: number): void {
    this.#mark("read", conversation, seq);
  }

  /** This client has everything up to `seq`. */
  delivered(conversation: string, seq: number): void {
    this.#mark("delivered", conversation, seq);
  }

  #mark(type: string, conversation: string, seq: number): void {
    const name = `${type}:${conversation}`;
    if ((this.#marks.get(name)?.seq ?? -1) >= seq) return;
    this.#marks.set(name, { type, conversation, seq, isTold: false });
    this.#marksTimer ??= setTimeout(() => this.#tellMarks(), MARKS_MS);
  }

  #tellMarks(): void {
    clearTimeout(this.#marksTimer);
    this.#marksTimer = undefined;
    if (this.state !== "live") return;
    const untold = [...this.#marks.values()].filter((mark) => !mark.isTold);
    if (untold.length > MARKS_AT_ONCE) this.#marksTimer = setTimeout(() => this.#tellMarks(), 1000);
    for (const mark of untold.slice(0, MARKS_AT_ONCE)) {
      mark.isTold = true;
      const { isTold: _, ...frame } = mark;
      this.#line.ask(frame).catch((error: unknown) => {
        mark.isTold = !(error instanceof CommsError && error.isTemporary);
      });
    }
  }

  /** Whether the person is at the page, and which followed conversation it shows. */
  presence(state: "active" | "away", lookingAt?: { conversation: string } | { inbox: true }): void {
    const place = lookingAt && ("inbox" in lookingAt ? { inbox: true } : { conversations: [lookingAt.conversation] });
    this.#presence = { type: "presence", state, ...(place && { looking_at: place }) };
    this.#tellPresence();
  }

  /** Hear `presence` of these people, those who may be watched. The answer ends it. */
  watchPresence(users: string[]): () => void {
    for (const user of users) this.#watched.set(user, (this.#watched.get(user) ?? 0) + 1);
    this.#tellWatched();
    return () => {
      for (const user of users) {
        const left = (this.#watched.get(user) ?? 1) - 1;
        if (left) this.#watched.set(user, left);
        else this.#watched.delete(user);
      }
      this.#tellWatched();
    };
  }

  #tellPresence(): void {
    if (this.#presence && this.state === "live") this.#line.ask(this.#presence).catch(() => undefined);
  }

  #tellWatched(): void {
    if (this.state !== "live") return;
    this.#line.ask({ type: "presence.watch", users: [...this.#watched.keys()] }).catch(() => undefined);
  }

  // --- The connection ----------------------------------------------------------------------------

  async #ticket(): Promise<string> {
    if (this.#options.ticket) return this.#options.ticket();
    return (await this.http.request<{ ticket: string }>("POST", "ws-ticket")).ticket;
  }

  async #whoAmI(): Promise<string> {
    if (this.#options.user) return this.#options.user;
    const subject = this.#options.token && claim(await this.http.bearer(), "sub");
    if (typeof subject === "string" && subject) return subject;
    const answer = await this.http.request<{ user_id?: string }>("GET", "whoami");
    if (answer.user_id) return answer.user_id;
    throw new CommsError(403, "forbidden", "Give a user's token.");
  }

  async #opened(_hello: Hello): Promise<void> {
    for (const one of this.#followed.values()) {
      one.isAsked = false;
      one.held = one.gapAt = one.behindAt = null;
    }
    await this.#follow();
  }

  #nowLive(): void {
    void this.#restore();
    this.#tellPresence();
    if (this.#watched.size) this.#tellWatched();
    this.#tellMarks();
    void this.#flush();
  }

  // --- Without a socket --------------------------------------------------------------------------

  /** Where none gets through, REST carries what is written, and is asked for what has come. */
  #ask(isBlocked: boolean): void {
    if (isBlocked === (this.#asking !== undefined)) return;
    clearInterval(this.#asking);
    this.#asking = isBlocked ? setInterval(() => void this.#look(), ASK_MS) : undefined;
    if (isBlocked) void this.#look();
  }

  async #look(): Promise<void> {
    await this.#flush();
    try {
      const page = await this.request<Page<Conversation>>("GET", "conversations", undefined, { limit: MOST_ASKED });
      for (const { id, last_seq } of page.results) await this.#catchUp("conversations", id, last_seq);
      if (!this.#followed.has("inbox/")) return;
      const { seq } = await this.request<CountsAnswer>("GET", "inbox/counts");
      await this.#catchUp("inbox", "", seq.inbox);
    } catch {
      // the next time
    }
  }

  async #catchUp(feed: string, key: string, head: number): Promise<void> {
    const one = this.#followed.get(named(feed, key));
    if (!one || one.held || !this.#asking) return;
    if (one.seq === null || head <= one.seq) one.seq ??= head;
    else if (feed === "inbox") this.#reset(one, head);
    else await this.#fill(one, one.seq, head);
  }

  // --- Frames ------------------------------------------------------------------------------------

  #heard(frame: Frame): void {
    const numbered = NUMBERED[frame.type];
    if (numbered) {
      const one = this.#followed.get(named(numbered.feed, numbered.field ? String(frame[numbered.field]) : ""));
      if (one) this.#inOrder(one, frame);
      return;
    }
    switch (frame.type) {
      case "heads":
        this.#compare(frame as unknown as Heads);
        return;
      case "resync":
        this.#resync(frame as unknown as Key & { seq: number });
        return;
      case "refused":
        for (const one of frame["refused"] as (Key | string)[]) if (typeof one === "object") this.#gone(one);
        return;
      case "error":
        if (typeof frame["feed"] === "string") this.#gone({ feed: frame["feed"], key: String(frame["key"] ?? "") });
        else this.#emit(frame);
        return;
      default:
        this.#emit(frame);
    }
  }

  /** Each number once, none left out. */
  #inOrder(one: Followed, frame: Frame): void {
    if (one.held) {
      one.held.push(frame);
      return;
    }
    const seq = Number(frame["seq"]);
    const at = one.seq ?? seq - 1;
    if (seq <= at) return;
    if (seq > at + 1) {
      if (one.gapAt !== at) {
        one.gapAt = at;
        one.seq = at;
        this.#askAgain(one);
        return;
      }
      this.#reset(one, seq - 1); // asked again, and the numbers between are still not there
    }
    one.seq = seq;
    this.#emit(frame);
  }

  /** The heartbeat. Who is behind the head, and no further than at the last one, asks again. */
  #compare(heads: Heads): void {
    const behind: Followed[] = [];
    for (const one of this.#followed.values()) {
      const head = headOf(heads, one);
      if (head === undefined || one.seq === null || one.held || head <= one.seq) one.behindAt = null;
      else if (one.behindAt === one.seq) behind.push(one);
      else one.behindAt = one.seq;
    }
    if (behind.length) this.#askAgain(...behind);
  }

  #resync({ feed, key, seq }: Key & { seq: number }): void {
    const one = this.#followed.get(named(feed, key));
    if (!one) return;
    const from = one.seq ?? seq;
    const canBeFilled = feed === "conversations" && this.#options.token && seq >= from && seq - from <= MOST_MISSED;
    if (canBeFilled) void this.#fill(one, from, seq);
    else this.#reset(one, seq);
  }

  #reset(one: Followed, seq: number): void {
    one.seq = seq;
    this.#events.emit("reset", { feed: one.feed, key: one.key, seq });
  }

  /** Fetch what the socket does not send; what it sends meanwhile waits. */
  async #fill(one: Followed, from: number, until: number): Promise<void> {
    const held: Frame[] = (one.held = []);
    try {
      for (let after = from, more = true; more; ) {
        const path = `conversations/${one.key}/entries`;
        const page = await this.request<History>("GET", path, undefined, { after, limit: 200 });
        if (one.held !== held) return; // another connection has begun
        for (const entry of page.results) {
          after = one.seq = entry.changed_seq;
          this.#emit(entryFrame(entry, from));
        }
        more = page.next !== null;
      }
    } catch {
      if (one.held !== held) return;
      one.held = null; // asked for again: by the next connection, or the next look
      this.#line.cut();
      return;
    }
    one.held = null;
    one.seq = Math.max(one.seq ?? 0, until);
    for (const frame of held) this.#inOrder(one, frame);
  }

  #emit(frame: Frame): void {
    const type = frame.type;
    if (type === "skip") return;
    if (type in NUMBERED || UNNUMBERED.has(type)) this.#events.emit(type as keyof EventMap, frame as never);
    else this.#events.emit("frame", frame);
  }
}

type Heads = Record<string, number | Record<string, number>>;

function headOf(heads: Heads, { feed, key }: Key): number | undefined {
  const found = heads[feed];
  return typeof found === "object" ? found[key] : found;
}

function named(feed: string, key: string): string {
  return `${feed}/${key}`;
}

function entryFrame(entry: Entry, from: number): Frame {
  const type = entry.seq > from ? "entry" : "entry.changed";
  return { type, conversation: entry.conversation, seq: entry.changed_seq, entry };
}

function asFrame({ clientId, conversation, body, replyTo, mentions, attachments }: Unsent): Frame {
  return {
    type: "send",
    conversation,
    client_id: clientId,
    body,
    ...(replyTo && { reply_to: replyTo }),
    ...(mentions?.length && { mentions }),
    ...(attachments?.length && { attachments }),
  };
}

/** `crypto.randomUUID` is for secure pages only. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A page in a sandbox may not even ask for it. */
function localStorageOrNull(): Storage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
