// The thread that is open: a piece of it, entries by seq with the team's notes between them, marks,
// typing, who looks on.

import { get, ME, options, post, reason } from "./api.js";
import { key, later, part } from "./dom.js";
import { drawHead } from "./head.js";
import { Log } from "./log.js";

const NEWS_SECONDS = 15;
/** Entries that are held and drawn: what is far from where one reads is fetched again. */
const MOST = 300;

export class Thread {
  /** `desk` is where one writes. */
  constructor({ client, held, changed, desk }) {
    this.client = client;
    this.held = held;
    this.changed = changed;
    this.desk = desk;
    this.id = null;
    this.typists = new Map();
    this.keptUnread = new Set();
    this.log = new Log(this);
    this.fetchNews = later(() => this.news(), 200);
    client.on("entry", ({ conversation, entry }) => conversation === this.id && this.take(entry, true));
    client.on("entry.changed", ({ conversation, entry }) => conversation === this.id && this.take(entry));
    for (const kind of ["read", "delivered"]) client.on(kind, (frame) => this.mark(kind, frame));
    client.on("typing", (frame) => this.typed(frame));
    client.on("presence", (frame) => this.present(frame));
    client.on("reset", ({ feed, key }) => feed === "conversations" && key === this.id && this.again());
    setInterval(() => this.id && !document.hidden && this.news(), NEWS_SECONDS * 1000);
    document.addEventListener("visibilitychange", () => this.look());
  }

  // --- Open and close ------------------------------------------------------------------------

  /** At its end, or at a seq. Whether it is there now: somebody may go elsewhere meanwhile. */
  open(id, at) {
    if (this.id !== id) {
      this.leave();
      this.id = id;
    }
    return this.load(at);
  }

  /** What comes while it is on its way, which may not have it, comes after it. */
  async load(at) {
    const id = this.id;
    const meanwhile = (this.meanwhile = []);
    const isAskedLast = () => this.meanwhile === meanwhile;
    let found;
    try {
      found = await get(`${id}/thread`, at === undefined ? {} : { around: at });
    } catch (error) {
      if (!isAskedLast()) return false;
      this.meanwhile = undefined;
      throw error;
    }
    if (!isAskedLast()) return false;
    this.meanwhile = undefined;
    this.begin(found, at);
    for (const [entry, isNew] of meanwhile) this.take(entry, isNew);
    this.look();
    return true;
  }

  begin(found, at) {
    this.setStale(false);
    this.row = found.conversation;
    this.entries = new Map();
    this.notes = new Map();
    this.names = new Map();
    this.sent = new Map();
    this.people = found.participants;
    this.ways = found.ways;
    this.since = found.since;
    this.until = found.until ?? Infinity;
    this.head = found.last_seq;
    this.merge(found);
    this.viewers(found.viewers);
    this.log.begin(at);
    this.drawHead();
    this.client.subscribe({ conversations: { [this.id]: found.last_seq } });
    this.stopWatching?.();
    this.stopWatching = this.row.person.id ? this.client.watchPresence([this.row.person.id]) : undefined;
  }

  get isLoading() {
    return this.meanwhile !== undefined;
  }

  /** What is shown is out of date as a whole. Where it cannot be fetched now, `news` asks again. */
  async again() {
    this.isStale = true;
    part("entries").setAttribute("aria-busy", "true");
    try {
      if (await this.load(this.hasNewer ? this.log.firstSeen() : undefined)) this.desk.draw();
    } catch {
      this.setStale(true);
    } finally {
      part("entries").removeAttribute("aria-busy");
    }
  }

  setStale(isStale) {
    this.isStale = isStale;
    part("stale").hidden = !isStale;
  }

  leave() {
    if (!this.id) return;
    this.client.unsubscribe({ conversations: [this.id] });
    this.stopWatching?.();
    this.stopWatching = undefined;
    this.typists.clear();
    this.presence = this.row = this.entries = this.meanwhile = undefined;
    this.setStale(false);
    this.log.clear();
    for (const name of ["name", "about", "typing"]) part(name).replaceChildren();
    this.id = null;
  }

  // --- The piece of it that is held ------------------------------------------------------------

  get hasOlder() {
    return this.since > 0;
  }

  get hasNewer() {
    return this.until < Infinity;
  }

  merge({ entries = [], notes = [], names = {}, sent = {} }) {
    for (const one of entries) this.entries.set(one.seq, one);
    for (const one of notes) if (this.holds(one.after_seq)) this.notes.set(one.id, one);
    for (const [who, name] of Object.entries(names)) this.names.set(who, name);
    for (const [id, state] of Object.entries(sent)) this.sent.set(id, state);
    for (const one of [...entries, ...notes]) this.held.remove(one.client_id);
  }

  holds(seq) {
    return seq >= this.since && seq < this.until;
  }

  async older() {
    const found = await this.more(this.hasOlder && { before: this.since });
    if (!found) return;
    this.since = found.since;
    this.merge(found);
    const seqs = this.seqs();
    if (seqs.length > MOST) this.until = seqs[MOST];
    this.forget();
  }

  async newer() {
    const found = await this.more(this.hasNewer && { from: this.until });
    if (!found) return;
    this.until = Infinity;
    this.merge(found);
    // What came while it was on its way is not in it.
    this.until = found.until ?? (this.head > found.last_seq ? found.last_seq + 1 : Infinity);
    this.forgetOldest();
    this.see();
  }

  async more(query) {
    if (!query || !this.entries || this.isLoadingMore) return undefined;
    this.isLoadingMore = true;
    const { id, entries } = this;
    try {
      const found = await get(`${id}/thread`, query);
      return this.entries === entries ? found : undefined; // else it was loaded anew meanwhile
    } catch {
      return undefined; // asked for again by who scrolls, or presses the button
    } finally {
      this.isLoadingMore = false;
    }
  }

  seqs() {
    return [...this.entries.keys()].sort((a, b) => a - b);
  }

  forgetOldest() {
    const seqs = this.seqs();
    if (seqs.length > MOST) this.since = seqs.at(-MOST);
    this.forget();
  }

  /** What is not within the piece any more. */
  forget() {
    for (const seq of this.entries.keys()) if (!this.holds(seq)) this.entries.delete(seq);
    for (const [id, one] of this.notes) if (!this.holds(one.after_seq)) this.notes.delete(id);
    this.log.draw();
  }

  /** Bring an entry into view, from wherever it is. */
  async show(seq) {
    if (!this.entries?.has(seq) && !(await this.load(seq))) return;
    this.log.show(seq);
  }

  async toStart() {
    if (this.hasOlder && !(await this.load(0))) return;
    this.log.toStart();
  }

  /** What was written last. */
  async toEnd() {
    if (this.hasNewer) await this.load();
    else this.log.toEnd();
  }

  /** What the socket does not carry. */
  async news() {
    const id = this.id;
    if (!id || !this.entries) return;
    if (this.isStale) await this.again();
    try {
      const found = await get(`${id}/news`, { since: this.since });
      if (this.id !== id) return;
      const isNew = found.notes.some((one) => this.holds(one.after_seq) && !this.notes.has(one.id));
      this.merge(found);
      this.viewers(found.viewers);
      for (const one of found.participants) {
        this.markOf(one, "read", one.read_seq);
        this.markOf(one, "delivered", one.delivered_seq);
      }
      this.setWays(found.ways);
      this.log.draw();
      if (isNew) this.announce();
    } catch {
      return; // asked again soon
    }
  }

  /** By how the person came last. */
  setWays(ways) {
    if (JSON.stringify(ways) === JSON.stringify(this.ways)) return;
    this.ways = ways;
    this.desk.draw();
  }

  // --- What comes ----------------------------------------------------------------------------

  take(entry, isNew = false) {
    this.meanwhile?.push([entry, isNew]);
    if (!this.entries) return;
    const known = this.entries.get(entry.seq);
    if (known && known.changed_seq > entry.changed_seq) return;
    this.head = Math.max(this.head, entry.changed_seq);
    this.held.remove(entry.client_id);
    if (!known && !isNew) return; // not shown
    if (this.holds(entry.seq)) this.entries.set(entry.seq, entry);
    this.typists.delete(key(entry.author));
    this.drawTyping();
    this.markOf(entry.author, "read", entry.seq);
    if (this.log.isAtEnd) this.forgetOldest();
    else this.log.draw();
    if (isNew) this.announce();
    if (entry.medium !== "chat") setTimeout(() => this.fetchNews(), 1500);
  }

  announce() {
    this.log.announce();
    this.see();
  }

  mark(kind, { conversation, person, seq }) {
    if (conversation !== this.id || !this.entries) return;
    this.markOf(person, kind, seq);
    this.log.draw();
  }

  markOf(person, kind, seq) {
    const one = this.people.find((each) => key(each) === key(person));
    if (!one) {
      this.people.push({ ...person, read_seq: seq, delivered_seq: seq });
      return;
    }
    one[`${kind}_seq`] = Math.max(one[`${kind}_seq`], seq);
    one.delivered_seq = Math.max(one.delivered_seq, one.read_seq);
  }

  typed({ conversation, person, lasts_ms }) {
    if (conversation !== this.id || key(person) === ME) return;
    const who = key(person);
    clearTimeout(this.typists.get(who));
    this.typists.set(who, setTimeout(() => {
      this.typists.delete(who);
      this.drawTyping();
    }, lasts_ms));
    this.drawTyping();
  }

  present(frame) {
    if (!this.id || frame.user_id !== this.row?.person.id) return;
    this.presence = frame;
    this.drawHead();
  }

  /** Put an emoji at an entry, or take one's own away. */
  react(entry, emoji) {
    const theirs = entry.reactions.find((one) => one.emoji === emoji)?.by ?? [];
    const on = !theirs.some((author) => this.isMine({ author }));
    return this.change("react", { entry: entry.id, emoji, on });
  }

  remove(entry) {
    return this.change("remove", { entry: entry.id });
  }

  async change(what, asked) {
    const { id } = this;
    try {
      const entry = await post(`${id}/${what}`, asked);
      if (this.id === id) this.take(entry);
    } catch (error) {
      if (this.id === id) this.desk.trouble(reason(error));
    }
  }

  viewers(names) {
    const box = part("viewers");
    box.hidden = names.length === 0;
    const text = names.length ? `${names.join(", ")} ${names.length > 1 ? "look" : "looks"} at this conversation, too.` : "";
    if (box.textContent !== text) box.textContent = text;
  }

  // --- What is read ----------------------------------------------------------------------------

  /** That somebody is here, and has read it. */
  look() {
    const place = !document.hidden && this.id ? { conversation: this.id } : undefined;
    this.client.presence(document.hidden ? "away" : "active", place);
    this.see();
  }

  /** Whether what comes is read by who has it open; not by who looks at what was long ago. */
  get isSeen() {
    return Boolean(this.row) && !document.hidden && !this.isLeftUnread && !this.hasNewer;
  }

  see() {
    if (!this.isSeen) return;
    // The client never tells a mark twice, and this one was taken back.
    if (this.keptUnread.delete(this.id)) post(`${this.id}/unread`, { on: false }).catch(() => {});
    else this.client.read(this.id, this.head);
    if (this.row.is_unread) {
      this.row = { ...this.row, is_unread: false };
      this.changed(this.row);
    }
  }

  async keepUnread() {
    this.isLeftUnread = true;
    this.keptUnread.add(this.id);
    const row = await post(`${this.id}/unread`, { on: true });
    if (row.id === this.id) this.row = row;
    this.changed(row);
  }

  // --- What is shown -------------------------------------------------------------------------

  setRow(row) {
    this.row = row;
    this.drawHead();
  }

  drawHead() {
    drawHead(this.row, this.presence);
  }

  drawTyping() {
    const names = [...this.typists.keys()].map((who) => this.nameOf(who));
    const text = names.length ? `${names.join(", ")} ${names.length > 1 ? "are" : "is"} writing` : "";
    if (part("typing").textContent !== text) part("typing").textContent = text;
    this.log.stay();
  }

  nameOf(who) {
    if (who === ME) return "You";
    const [kind, id] = [who.slice(0, who.indexOf(":")), who.slice(who.indexOf(":") + 1)];
    if (kind === "staff") return this.names.get(who) ?? options.team.find((one) => one.id === id)?.name ?? "Staff";
    return this.names.get(who) ?? (kind === "agent" ? "An agent" : id);
  }

  isMine({ author }) {
    return key(author) === ME;
  }

  /** What may still be changed: by who wrote it, in the chat. */
  mayChange(entry) {
    return this.isMine(entry) && entry.kind === "text" && entry.medium === "chat" && !entry.deleted_at;
  }
}
