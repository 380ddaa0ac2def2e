/** What the service sends and takes, as it is on the wire: docs/api/README.md, docs/subsystems/live.md. */
/** RFC 3339, in UTC. */
export type Moment = string;
export interface Somebody {
    kind: "user" | "staff" | "agent";
    id: string;
}
export interface Quote {
    id: string;
    seq: number;
    author: Somebody;
    excerpt: string;
    deleted: boolean;
}
export interface Reaction {
    emoji: string;
    by: Somebody[];
}
export interface Attachment {
    id: string;
    name: string;
    media_type: string;
    /** Bytes. */
    size: number;
    width: number | null;
    height: number | null;
    has_thumbnail: boolean;
}
/** An attachment with links that are the caller's, for five minutes. */
export interface Links extends Attachment {
    url: string;
    thumbnail_url: string | null;
    expires_at: Moment;
}
export interface Entry {
    id: string;
    conversation: string;
    /** Its place. */
    seq: number;
    /** Of its latest change; else as `seq`. */
    changed_seq: number;
    kind: "text" | "system";
    /** How it came or went. */
    medium: "chat" | "email" | "sms";
    author: Somebody;
    client_id: string;
    /** As it was written; empty once deleted. */
    body: string;
    /** The same as HTML, made safe by the service. */
    html: string;
    event: Record<string, unknown> | null;
    reply_to: Quote | null;
    mentions: string[];
    reactions: Reaction[];
    attachments: Attachment[];
    pinned_at: Moment | null;
    created_at: Moment;
    edited_at: Moment | null;
    deleted_at: Moment | null;
}
export interface Participant extends Somebody {
    role: "owner" | "admin" | "member";
    read_seq: number;
    delivered_seq: number;
    joined_at: Moment;
}
export interface Conversation {
    id: string;
    kind: "direct" | "group" | "support";
    title: string;
    /** Of a support conversation, else empty. */
    status: string;
    assignee: string | null;
    last_seq: number;
    latest: Entry | null;
    participants: Participant[];
    /** Null for who takes no part. */
    me: {
        read_seq: number;
        unread: number;
        mentions: number;
        muted_until: Moment | null;
        archived_at: Moment | null;
    } | null;
    active_at: Moment;
    created_at: Moment;
}
export interface Page<T> {
    results: T[];
    next: string | null;
    previous: string | null;
}
export interface History extends Page<Entry> {
    /** Of the conversation: subscribe from here. */
    last_seq: number;
}
export interface Found {
    entry: Entry;
    /** HTML: what was looked for is in `mark`. */
    snippet: string;
}
export interface Action {
    key: string;
    label: string;
    /** Empty: a press is an answer. */
    link: string;
    style: "primary" | "secondary" | "danger";
    pressed_at: Moment | null;
}
export interface Item {
    id: string;
    kind: "notification" | "announcement";
    place: "inbox" | "archived" | "snoozed" | "gone";
    title: string;
    body: string;
    link: string;
    image: string;
    category: string;
    tags: string[];
    actions: Action[];
    data: Record<string, unknown>;
    priority: "low" | "normal" | "high";
    banner: boolean;
    created_at: Moment;
    /** The feed's order; later than `created_at` when it was snoozed. */
    shown_at: Moment;
    seen_at: Moment | null;
    read_at: Moment | null;
    archived_at: Moment | null;
    snoozed_until: Moment | null;
    expires_at: Moment;
}
/** What is gone has only these. */
export type ItemOrGone = Item | Pick<Item, "id" | "kind" | "place">;
export interface Counts {
    unseen: number;
    unread: number;
    snoozed: number;
}
/** Where to subscribe from, to get all that comes after an answer. */
export interface InboxSeq {
    inbox: number;
    announcements: number;
}
export interface CountsAnswer extends Counts {
    tags: Record<string, {
        unseen: number;
        unread: number;
    }>;
    seq: InboxSeq;
}
export interface InboxPage extends Page<Item> {
    seq: InboxSeq;
}
export interface Changed {
    changed: number;
    /** Not all yet: call again. */
    more: boolean;
    /** Of the ids: those that are in no inbox of the caller's. */
    unknown: string[];
    counts: CountsAnswer;
}
export interface Choice {
    /** Empty: about all categories. */
    category: string;
    /** Empty: about all channels. */
    channel: string;
    /** Null takes an earlier choice back. */
    is_on: boolean | null;
}
export interface Category {
    key: string;
    name: string;
    kind: "essential" | "transactional" | "marketing";
    is_optional: boolean;
    is_opt_in: boolean;
}
export interface Preferences {
    preferences: (Choice & {
        changed_at: Moment;
    })[];
    unsubscribed: {
        category: string;
        channel: string;
    }[];
    categories: Category[];
    paused_until: Moment | null;
}
/** Local time, `22:00`; the end is on the next day where it is not after the start. */
export interface Period {
    start: string;
    end: string;
    /** On which it starts, Monday is 0. None: every day. */
    days: number[];
}
export interface QuietHours {
    periods: Period[];
    /** Empty: UTC. */
    time_zone: string;
}
export interface Problem {
    code: string;
    title: string;
    detail?: string;
    errors?: {
        field: string;
        code: string;
        message: string;
    }[];
}
export interface Hello {
    type: "hello";
    session: string;
    heartbeat_ms: number;
    reconnect_after_ms: number;
    limits: {
        frame_bytes: number;
        frames_per_second: number;
        frames_at_once: number;
        keys: number;
        replay: number;
    };
}
export interface EntryFrame {
    type: "entry" | "entry.changed";
    conversation: string;
    seq: number;
    entry: Entry;
}
export interface MarkFrame {
    type: "read" | "delivered";
    conversation: string;
    /** Up to here. */
    seq: number;
    person: Somebody;
}
/** This conversation is in the person's list from now on: begun, brought in, or out of the archive. */
export interface JoinedFrame {
    type: "joined";
    conversation: string;
    /** Its last. */
    seq: number;
}
export interface TypingFrame {
    type: "typing";
    conversation: string;
    person: Somebody;
    lasts_ms: number;
}
export interface PresenceFrame {
    type: "presence";
    user_id: string;
    state: "active" | "away" | "offline";
    last_seen?: Moment;
}
export interface NotificationFrame {
    type: "notification";
    seq: number;
    /** Null: it has changed since, and comes under a later number. */
    notification: ItemOrGone | null;
    counts?: Counts;
}
export interface AnnouncementFrame {
    type: "announcement";
    seq: number;
    announcement: ItemOrGone | null;
}
/** The name of a feed and a key of it; the key is empty for the inbox and announcements. */
export interface Key {
    feed: string;
    key: string;
}

/** Who wants to hear of what. */
export type Handler<T> = (event: T) => void;
export declare class Events<Map extends object> {
    #private;
    /** Returns what ends it. */
    on<Type extends keyof Map>(type: Type, handler: Handler<Map[Type]>): () => void;
    /** A handler that fails keeps nobody else from hearing. */
    emit<Type extends keyof Map>(type: Type, event: Map[Type]): void;
}

/** Requests to the service's REST API, in the name of one person. */
/** What the service refused, or `status` 0 where it could not be reached. */
export declare class CommsError extends Error {
    readonly status: number;
    /** Stable, for programs: `not_found`, `rate_limited`; `unreachable` where there was no answer. */
    readonly code: string;
    readonly errors: NonNullable<Problem["errors"]>;
    /** Seconds. */
    readonly retryAfter?: number | undefined;
    name: string;
    constructor(status: number, 
    /** Stable, for programs: `not_found`, `rate_limited`; `unreachable` where there was no answer. */
    code: string, message: string, errors?: NonNullable<Problem["errors"]>, 
    /** Seconds. */
    retryAfter?: number | undefined);
    /** Whether the same may succeed later. */
    get isTemporary(): boolean;
}
export declare function refusal(status: number, problem: Partial<Problem>, retryAfter?: number): CommsError;
export type TokenSource = () => string | Promise<string>;
export interface HttpOptions {
    /** Of the service: `https://comms.example.com`. The page's own origin unless told. */
    url?: string;
    /** Gives the user's token; asked again when the last one ends or is refused. */
    token?: TokenSource;
    /** Instead of a token: what each request says, and whether cookies go with it. */
    headers?: () => Record<string, string>;
    credentials?: RequestCredentials;
    fetch?: typeof fetch;
    /** For uploads. */
    XMLHttpRequest?: typeof XMLHttpRequest;
}
export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;
export interface Upload {
    /** 0 to 1. */
    onProgress?: (part: number) => void;
    signal?: AbortSignal;
}
export declare class Http {
    #private;
    readonly options: HttpOptions;
    readonly base: string;
    constructor(options: HttpOptions);
    /** The address of the socket. */
    get socket(): string;
    /** By the clock of the service, in milliseconds since 1970: that of a device may be hours wrong. */
    now(): number;
    /** The next token is asked for anew. */
    forget(): void;
    /** The answer's JSON; null where it has none. Raises `CommsError`. */
    request<T>(method: string, path: string, body?: unknown, query?: Query): Promise<T>;
    /** A form with one file. Raises `CommsError`, and what `signal` was aborted with. */
    upload<T>(path: string, file: Blob, name: string, options?: Upload): Promise<T>;
    /** The last token as long as it holds. */
    bearer(): Promise<string>;
}
/** A claim of a JWT, unverified; undefined for a token that is none. */
export declare function claim(token: string, name: string): unknown;

/** The calls of the REST API that pages of end users need, typed: docs/api/README.md. */
/** A page's `next` or `previous` as the `cursor` of another call. */
export declare function cursor(link: string | null): string | undefined;
export interface NewEntry {
    body?: string;
    client_id?: string;
    reply_to?: string | null;
    mentions?: string[];
    attachments?: string[];
}
export declare class Conversations {
    private readonly http;
    constructor(http: Http);
    list(query?: {
        archived?: boolean;
        kind?: string;
        status?: string;
        cursor?: string | undefined;
        limit?: number;
    }): Promise<Page<Conversation>>;
    /** With one other person: the conversation that the two have, new or not. */
    start(kind: Conversation["kind"], participants: string[], title?: string): Promise<Conversation>;
    get(id: string): Promise<Conversation>;
    /** The latest; `before` a seq; `from` one, or a `date`, on; `around` an entry; `after` a seq, by `changed_seq`. Oldest first. */
    entries(id: string, query?: {
        before?: number;
        from?: number;
        around?: string;
        after?: number;
        date?: string;
        limit?: number;
    }): Promise<History>;
    /** By REST. `CommsClient.send` keeps what cannot be sent now. */
    write(id: string, entry: NewEntry): Promise<Entry>;
    edit(id: string, entry: string, body: string): Promise<Entry>;
    remove(id: string, entry: string): Promise<null>;
    react(id: string, entry: string, emoji: string): Promise<Entry>;
    unreact(id: string, entry: string, emoji: string): Promise<Entry>;
    /** Then write an entry that names it in `attachments`. */
    upload(id: string, file: Blob, name: string, options?: Upload): Promise<Attachment>;
    attachment(id: string, attachment: string): Promise<Links>;
    search(q: string, query?: {
        conversation?: string;
        cursor?: string;
        limit?: number;
    }): Promise<Page<Found>>;
    /** Null: not muted any more. */
    mute(id: string, until: string | null): Promise<Conversation>;
    archive(id: string, on?: boolean): Promise<Conversation>;
    /** Take oneself out: `person` is one's own user id. */
    leave(id: string, person: string): Promise<null>;
}
/** Items by their ids; or all there are, with a tag or not. */
export type Which = {
    ids: string[];
} | {
    all: true;
    tag?: string;
} | {
    before: string;
    tag?: string;
};
export declare class Inbox {
    private readonly http;
    constructor(http: Http);
    list(query?: {
        filter?: "all" | "unread" | "unseen" | "archived" | "snoozed";
        tag?: string;
        category?: string;
        cursor?: string | undefined;
        limit?: number;
    }): Promise<InboxPage>;
    counts(tag?: string[]): Promise<CountsAnswer>;
    seen(which: Which): Promise<Changed>;
    read(which: Which): Promise<Changed>;
    unread(ids: string[]): Promise<Changed>;
    archive(which: Which): Promise<Changed>;
    unarchive(ids: string[]): Promise<Changed>;
    snooze(ids: string[], until: Date): Promise<Changed>;
    unsnooze(ids: string[]): Promise<Changed>;
    /** Press a button of an item. */
    act(id: string, action: string): Promise<Item>;
}
export declare class OwnPreferences {
    #private;
    private readonly http;
    private readonly person;
    constructor(http: Http, person: () => Promise<string>);
    get(): Promise<Preferences>;
    /** Each choice is written, others stay. All or none. */
    set(preferences: Choice[]): Promise<Preferences>;
    quietHours(): Promise<QuietHours>;
    /** In place of those there were. */
    setQuietHours(periods: Period[], timeZone?: string): Promise<QuietHours>;
}

/**
 * What was written and is not acknowledged yet. Each message has a place of its own in the storage, so
 * that two tabs of one person do not overwrite each other's; both may send it, since the service
 * writes a `clientId` once.
 */
export interface Unsent {
    clientId: string;
    conversation: string;
    body: string;
    replyTo?: string;
    mentions?: string[];
    attachments?: string[];
    /** Milliseconds since 1970. */
    at: number;
    /** Why it was refused for good: it waits to be retried or discarded. */
    error?: {
        code: string;
        message: string;
    };
}
export declare class Outbox {
    #private;
    private readonly storage;
    constructor(storage: Storage | null);
    /** What this person wrote before, from now on kept with what comes. */
    restore(prefix: string): void;
    put(message: Unsent): void;
    get(clientId: string): Unsent | undefined;
    remove(clientId: string): void;
    /** In the order in which they were written. */
    list(conversation?: string): Unsent[];
    /** The next to be sent. */
    next(): Unsent | undefined;
}

/** The socket: opened with a ticket, and opened again after every end of it. */
export type Frame = {
    type: string;
} & Record<string, unknown>;
export type SocketClass = new (url: string, protocols: string[]) => WebSocket;
export interface LineOptions {
    url: string;
    ticket: () => Promise<string>;
    WebSocket?: SocketClass;
}
export interface Listener {
    /** The service has said hello. What is thrown ends the connection, which is then tried again. */
    opened(hello: Hello): Promise<void>;
    heard(frame: Frame): void;
    /**
     * `retryAt`: when the next attempt is due, in milliseconds since 1970; none: never, by itself.
     * `error`: why there is no connection, by its code: `crowd`, `no_socket`, `no_token`, `unreachable`.
     */
    changed(state: State, retryAt?: number, error?: CommsError): void;
    /** The login is over: a new attempt needs a new token. */
    ended(): void;
    signedOut(error: CommsError): void;
}
/** `live`: what is subscribed to comes. */
export type State = "offline" | "connecting" | "live";
/**
 * Milliseconds until the next attempt. `failures`: attempts since the last one that went well. Full
 * jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export declare function pause(code: number, failures: number, hint: number, random?: number): number;
export declare class Line {
    #private;
    private readonly options;
    private readonly listener;
    state: State;
    constructor(options: LineOptions, listener: Listener);
    connect(): void;
    close(): void;
    /** End this connection, to open another: what it said cannot be relied on. */
    cut(): void;
    get isOpen(): boolean;
    send(frame: Frame): void;
    /** The `ack`. Rejects with what the service says, or `unreachable` where the connection ends. */
    ask(frame: Frame): Promise<Frame>;
}

/** The socket of the service: follows, writes, keeps what cannot be sent now. */
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
    reset: Key & {
        seq: number;
    };
    /** The key is not there, or no longer for this person, and not followed any more. */
    gone: Key;
    sent: Sent;
    /** Refused for good: `retry` or `discard` it. */
    failed: Unsent;
    /** The list of unsent messages has changed. */
    unsent: {
        conversation: string;
    };
    /** A frame without an id was refused. */
    error: Problem;
    /** Every other frame, by its type in the frame. */
    frame: Frame;
}
export declare class LiveClient {
    #private;
    readonly http: Http;
    /** Where what is not sent is kept. */
    readonly storage: Storage | null;
    constructor(options: Options);
    get state(): State;
    /** Why the last attempt failed, until one goes well. */
    get trouble(): CommsError | undefined;
    connect(): void;
    /** What is subscribed to stays so, for another `connect()`. */
    close(): void;
    /** Hear of it; the answer ends it. */
    on<Type extends keyof EventMap>(type: Type, handler: Handler<EventMap[Type]>): () => void;
    /** The id of the user whose token it is. */
    me(): Promise<string>;
    /** Any other call of the REST API: `request("GET", "inbox/counts")`. */
    request<T>(method: string, path: string, body?: unknown, query?: Query): Promise<T>;
    /**
     * Follow keys, now and after every reconnection; those that are followed already stay as they are.
     * Beyond what one connection may follow, conversations that were asked for longest ago are let go.
     */
    subscribe(what: Subscription): void;
    unsubscribe(what: {
        conversations?: string[];
        [feed: string]: string[] | true | undefined;
    }): void;
    /** The last seq that came of a key. */
    position(feed: string, key?: string): Position | undefined;
    /**
     * Write into a conversation: now, or as soon as there is a connection; once, however often it has
     * to be sent. Resolves when the service has it, and rejects when the service refuses it.
     */
    send(conversation: string, body: string, options?: SendOptions): Promise<Sent>;
    /** What is not acknowledged, or was refused (then it has an `error`). */
    unsent(conversation?: string): Unsent[];
    /** Send again what was refused. */
    retry(clientId: string): void;
    discard(clientId: string): void;
    /** This person is writing. May be called with each key press. */
    typing(conversation: string): void;
    /** Everything up to `seq` is read. Told again until it is known. */
    read(conversation: string, seq: number): void;
    /** This client has everything up to `seq`. */
    delivered(conversation: string, seq: number): void;
    /** Whether the person is at the page, and which followed conversation it shows. */
    presence(state: "active" | "away", lookingAt?: {
        conversation: string;
    } | {
        inbox: true;
    }): void;
    /** Hear `presence` of these people, those who may be watched. The answer ends it. */
    watchPresence(users: string[]): () => void;
}
/** `crypto.randomUUID` is for secure pages only. */
export declare function newId(): string;

/** A client of the communication service, for pages and programs. README.md has examples. */
export interface ClientOptions extends Options {
    /** Staff pages of the service itself: the session cookie and its CSRF token stand for a token. */
    session?: boolean;
}
export declare class CommsClient extends LiveClient {
    readonly conversations: Conversations;
    readonly inbox: Inbox;
    readonly preferences: OwnPreferences;
    constructor({ session, ...options }: ClientOptions);
}
