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
  tags: Record<string, { unseen: number; unread: number }>;
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
  preferences: (Choice & { changed_at: Moment })[];
  unsubscribed: { category: string; channel: string }[];
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
  errors?: { field: string; code: string; message: string }[];
}

// --- Frames ------------------------------------------------------------------------------------

export interface Hello {
  type: "hello";
  session: string;
  heartbeat_ms: number;
  reconnect_after_ms: number;
  limits: { frame_bytes: number; frames_per_second: number; frames_at_once: number; keys: number; replay: number };
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
