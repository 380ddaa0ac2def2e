// The thread that is open: entries by seq, the team's notes between them, marks, typing, who looks on.

import { file, get, options, post } from "./api.js";
import { arrange, badge, clock, day, icon, later, make, MEDIA, part, root, safe, whole } from "./dom.js";

const NEWS_SECONDS = 15;
const MOST_SHOWN = 2000;

export class Thread {
  constructor({ client, changed }) {
    this.client = client;
    this.changed = changed;
    this.id = null;
    this.nodes = new Map();
    this.typists = new Map();
    this.keptUnread = new Set();
    this.fetchNews = later(() => this.news(), 200);
    this.observe();
    client.on("entry", ({ conversation, entry }) => conversation === this.id && this.take(entry, true));
    client.on("entry.changed", ({ conversation, entry }) => conversation === this.id && this.take(entry));
    for (const kind of ["read", "delivered"]) client.on(kind, (frame) => this.mark(kind, frame));
    client.on("typing", (frame) => this.typed(frame));
    client.on("presence", (frame) => this.present(frame));
    client.on("reset", ({ feed, key }) => feed === "conversations" && key === this.id && this.again());
    setInterval(() => this.id && !document.hidden && this.news(), NEWS_SECONDS * 1000);
    document.addEventListener("visibilitychange", () => this.look());
  }

  observe() {
    const scroll = part("scroll");
    scroll.addEventListener("scroll", () => {
      if (this.isAtEnd()) {
        part("newer").hidden = true;
        this.see();
      }
      if (scroll.scrollTop < 200) this.older();
    });
    part("older").addEventListener("click", () => this.older());
    part("newer").addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.wasAtEnd && this.toEnd()).observe(part("entries"));
  }

  // --- Open and close ------------------------------------------------------------------------

  /** Whether it is there now: somebody may go elsewhere meanwhile. */
  open(id) {
    if (this.id !== id) {
      this.leave();
      this.id = id;
      this.waiting = new Map();
    }
    return this.reload();
  }

  /** What comes while it is on its way, which may not have it, comes after it. */
  async reload() {
    const id = this.id;
    const meanwhile = (this.meanwhile = []);
    const isAskedLast = () => this.meanwhile === meanwhile;
    let found;
    try {
      found = await get(`${id}/thread`);
    } catch (error) {
      if (!isAskedLast()) return false;
      this.meanwhile = undefined;
      throw error;
    }
    if (!isAskedLast()) return false;
    this.meanwhile = undefined;
    this.setStale(false);
    this.row = found.conversation;
    this.entries = new Map();
    this.notes = new Map();
    this.names = new Map(Object.entries(found.names));
    this.sent = new Map();
    this.people = found.participants;
    this.ways = found.ways;
    this.merge(found);
    this.hasOlder = found.has_older;
    this.head = found.last_seq;
    this.nodes.clear();
    part("entries").replaceChildren();
    this.viewers(found.viewers);
    this.draw();
    this.toEnd();
    this.client.subscribe({ conversations: { [id]: found.last_seq } });
    this.stopWatching?.();
    this.stopWatching = this.row.person.id ? this.client.watchPresence([this.row.person.id]) : undefined;
    for (const [entry, isNew] of meanwhile) this.take(entry, isNew);
    this.look();
    return true;
  }

  get isLoading() {
    return this.meanwhile !== undefined;
  }

  /** What is shown is out of date as a whole. Where it cannot be fetched now, `news` asks again. */
  async again() {
    this.isStale = true;
    part("entries").setAttribute("aria-busy", "true");
    try {
      await this.reload();
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
    this.nodes.clear();
    part("entries").replaceChildren();
    for (const name of ["name", "about", "typing"]) part(name).replaceChildren();
    this.id = null;
  }

  merge({ entries = [], notes = [], names = {}, sent = {} }) {
    for (const one of entries) this.entries.set(one.seq, one);
    for (const one of notes) this.notes.set(one.id, one);
    for (const [who, name] of Object.entries(names)) this.names.set(who, name);
    for (const [id, state] of Object.entries(sent)) this.sent.set(id, state);
    for (const one of [...entries, ...notes]) this.waiting.delete(one.client_id);
  }

  async older() {
    if (!this.id || !this.hasOlder || this.isLoadingOlder) return;
    this.isLoadingOlder = true;
    const id = this.id, scroll = part("scroll");
    try {
      const found = await get(`${id}/thread`, { before: Math.min(...this.entries.keys()) });
      if (this.id !== id) return;
      const below = scroll.scrollHeight - scroll.scrollTop;
      this.wasAtEnd = false;
      this.merge(found);
      this.hasOlder = found.has_older && this.entries.size < MOST_SHOWN;
      this.draw();
      scroll.scrollTop = scroll.scrollHeight - below;
    } catch {
      return; // the button is still there
    } finally {
      this.isLoadingOlder = false;
    }
  }

  /** What the socket does not carry. */
  async news() {
    const id = this.id;
    if (!id || !this.entries) return;
    if (this.isStale) await this.again();
    const since = this.hasOlder ? Math.min(...this.entries.keys()) : 0;
    try {
      const found = await get(`${id}/news`, { since });
      if (this.id !== id) return;
      const isNew = found.notes.some((one) => !this.notes.has(one.id));
      this.merge(found);
      this.viewers(found.viewers);
      this.draw();
      if (isNew) this.announce();
    } catch {
      return; // asked again soon
    }
  }

  // --- What comes ----------------------------------------------------------------------------

  take(entry, isNew = false) {
    this.meanwhile?.push([entry, isNew]);
    if (!this.entries) return;
    const known = this.entries.get(entry.seq);
    if (known && known.changed_seq > entry.changed_seq) return;
    if (!isNew && !known) return; // not shown
    this.entries.set(entry.seq, entry);
    this.waiting.delete(entry.client_id);
    this.head = Math.max(this.head, entry.changed_seq);
    this.typists.delete(key(entry.author));
    this.markOf(entry.author, "read", entry.seq);
    this.draw();
    if (isNew) this.announce();
    if (entry.medium !== "chat") setTimeout(() => this.fetchNews(), 1500);
  }

  announce() {
    if (this.wasAtEnd) this.toEnd();
    else part("newer").hidden = false;
    this.see();
  }

  mark(kind, { conversation, person, seq }) {
    if (conversation !== this.id) return;
    this.markOf(person, kind, seq);
    this.draw();
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
    if (conversation !== this.id || key(person) === `staff:${options.me.id}`) return;
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

  viewers(names) {
    const box = part("viewers");
    box.hidden = names.length === 0;
    const text = names.length ? `${names.join(", ")} ${names.length > 1 ? "look" : "looks"} at this conversation, too.` : "";
    if (box.textContent !== text) box.textContent = text;
  }

  /** That somebody is here, and has read it. */
  look() {
    if (!this.id) {
      this.client.presence(document.hidden ? "away" : "active");
      return;
    }
    this.client.presence(document.hidden ? "away" : "active", document.hidden ? undefined : { conversation: this.id });
    this.see();
  }

  see() {
    if (!this.id || !this.row || document.hidden || this.isLeftUnread) return;
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

  isAtEnd() {
    const box = part("scroll");
    this.wasAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    return this.wasAtEnd;
  }

  toEnd() {
    const box = part("scroll");
    box.scrollTop = box.scrollHeight;
    this.wasAtEnd = true;
    part("newer").hidden = true;
  }

  setRow(row) {
    this.row = row;
    this.drawHead();
  }

  drawHead() {
    const { row } = this;
    part("name").textContent = row.person.name || "Somebody";
    const about = part("about");
    const state = this.presence?.state ?? "offline";
    const seen = this.presence?.last_seen ? `last seen ${whole(this.presence.last_seen)}` : "not here now";
    const there = { active: "here now", away: "away" }[state] ?? seen;
    about.replaceChildren(make("span", { class: `inbox-presence inbox-presence-${state}` }, there), row.title ? ` · ${row.title}` : "");
    const isClosed = row.status === "closed";
    part("close").textContent = isClosed ? "Reopen" : "Close";
    drawAssignee(row.assignee);
    for (const name of ["assignee", "close", "unread"]) part(name).disabled = !options.mayAnswer;
  }

  drawTyping() {
    const names = [...this.typists.keys()].map((who) => this.nameOf(who));
    const text = names.length ? `${names.join(", ")} ${names.length > 1 ? "are" : "is"} writing` : "";
    if (part("typing").textContent !== text) part("typing").textContent = text;
    if (this.wasAtEnd) this.toEnd();
  }

  nameOf(who) {
    if (who === `staff:${options.me.id}`) return "You";
    const [kind, id] = [who.slice(0, who.indexOf(":")), who.slice(who.indexOf(":") + 1)];
    if (kind === "staff") return this.names.get(who) ?? options.team.find((one) => one.id === id)?.name ?? "Staff";
    return this.names.get(who) ?? (kind === "agent" ? "An agent" : id);
  }

  items() {
    const items = [...this.entries.values()].map((one) => ({ id: one.id, at: [one.seq, 0, ""], entry: one }));
    for (const one of this.notes.values()) items.push({ id: one.id, at: [one.after_seq, 1, one.id], note: one });
    for (const [id, one] of this.waiting) items.push({ id, at: [Infinity, 2, one.at], waits: one });
    return items.sort((a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1] || (a.at[2] < b.at[2] ? -1 : 1));
  }

  draw() {
    if (!this.entries) return;
    this.drawHead();
    this.drawTyping();
    part("older").hidden = !this.hasOlder;
    const seen = this.seenUpTo();
    const nodes = [];
    let before = {}, lastDay = "";
    for (const one of this.items()) {
      const at = (one.entry ?? one.note ?? one.waits).created_at;
      const today = day(at);
      if (today !== lastDay) nodes.push(this.keep(`day ${today}`, today, () => make("li", { class: "inbox-day" }, today)));
      const by = one.entry?.kind === "system" ? "" : `${one.note ? "note " : ""}${key((one.entry ?? one.note ?? one.waits).author)}`;
      const follows = by !== "" && by === before.by && today === lastDay && new Date(at) - new Date(before.at) < 300_000;
      const receipt = one.entry && one.entry.seq === seen.seq ? seen.label : "";
      const about = JSON.stringify([one, follows, receipt, this.sent.get(one.id), this.nameOf(by.replace("note ", ""))]);
      nodes.push(this.keep(one.id, about, () => this.item(one, follows, receipt)));
      before = { by, at };
      lastDay = today;
    }
    const ids = new Set(nodes.map((node) => node.dataset.item));
    for (const id of this.nodes.keys()) if (!ids.has(id)) this.nodes.delete(id);
    arrange(part("entries"), nodes);
  }

  keep(id, about, made) {
    const known = this.nodes.get(id);
    if (known?.about === about) return known.node;
    const node = made();
    node.dataset.item = id;
    this.nodes.set(id, { node, about });
    if (known) known.node.replaceWith(node);
    return node;
  }

  /** The last thing the team said in the chat, and how far the person has come. */
  seenUpTo() {
    const people = this.people.filter((one) => one.kind === "user");
    const read = Math.max(0, ...people.map((one) => one.read_seq));
    const here = Math.max(0, ...people.map((one) => one.delivered_seq));
    const ours = [...this.entries.values()].filter((one) => one.kind === "text" && one.medium === "chat" && one.author.kind !== "user");
    const last = ours.reduce((a, b) => (a && a.seq > b.seq ? a : b), undefined);
    if (!last) return {};
    return { seq: last.seq, label: read >= last.seq ? "Seen" : here >= last.seq ? "Delivered" : "Sent" };
  }

  item(one, follows, receipt) {
    if (one.entry?.kind === "system") return make("li", { class: "inbox-event" }, this.told(one.entry));
    return one.note ? this.note(one.note, follows) : one.waits ? this.pending(one.waits) : this.said(one.entry, follows, receipt);
  }

  said(entry, follows, receipt) {
    const isOurs = entry.author.kind !== "user";
    const bubble = entry.deleted_at
      ? make("div", { class: "inbox-bubble" }, "Deleted")
      : safe("div", { class: "inbox-bubble", dir: "auto" }, entry.html);
    if (entry.reply_to) bubble.prepend(make("p", { class: "inbox-quote", dir: "auto" }, entry.reply_to.deleted ? "Deleted" : entry.reply_to.excerpt));
    return make(
      "li",
      { class: `inbox-entry${isOurs ? " inbox-entry-ours" : ""}${follows ? " inbox-follows" : ""}${entry.deleted_at ? " inbox-gone" : ""}`, "data-seq": entry.seq },
      make("p", { class: "inbox-by" }, this.nameOf(key(entry.author))),
      entry.html || entry.deleted_at || entry.reply_to ? bubble : null,
      entry.attachments.length ? attached(entry.attachments) : null,
      entry.reactions.length ? make("p", { class: "inbox-reactions" }, entry.reactions.map((it) => `${it.emoji} ${it.by.length}`).join("  ")) : null,
      this.foot(entry, receipt),
    );
  }

  foot(entry, receipt) {
    const [sign, label] = MEDIA[entry.medium];
    const sent = this.sent.get(entry.id);
    const isMine = key(entry.author) === `staff:${options.me.id}`;
    return make(
      "p",
      { class: "inbox-foot" },
      isMine && !entry.deleted_at && entry.medium === "chat" && options.mayAnswer
        ? make("button", { type: "button", class: "inbox-take-back", click: () => this.takeBack(entry) }, "Delete")
        : null,
      entry.medium === "chat" ? null : icon(sign, label),
      make("time", { datetime: entry.created_at, title: whole(entry.created_at) }, clock(entry.created_at)),
      entry.edited_at ? "edited" : null,
      receipt ? make("span", {}, receipt) : null,
      sent ? make("a", { href: sent.url, target: "_blank", title: "The message and its deliveries" }, badge(sent.state, sent.tone)) : null,
    );
  }

  note(note, follows) {
    return make(
      "li",
      { class: `inbox-entry inbox-entry-ours inbox-note${follows ? " inbox-follows" : ""}`, "data-note": note.id },
      make("p", { class: "inbox-by" }, icon("lock"), ` ${this.nameOf(key(note.author))} · internal note`),
      safe("div", { class: "inbox-bubble", dir: "auto" }, note.html),
      make("p", { class: "inbox-foot" }, make("time", { datetime: note.created_at, title: whole(note.created_at) }, clock(note.created_at))),
    );
  }

  pending(one) {
    const foot = one.error
      ? [
          make("span", { class: "inbox-failed", role: "alert" }, one.error),
          make("button", { type: "button", click: one.retry }, "Try again"),
          make("button", { type: "button", click: one.discard }, "Discard"),
        ]
      : [make("span", {}, one.isHeld ? "Waits for the connection" : "Sending")];
    return make(
      "li",
      { class: `inbox-entry inbox-entry-ours inbox-waits${one.isNote ? " inbox-note" : ""}` },
      make("div", { class: "inbox-bubble", dir: "auto" }, one.body || one.files),
      make("p", { class: "inbox-foot" }, ...foot),
    );
  }

  told({ event, author, created_at }) {
    const who = this.nameOf(key(author)), people = event.people ?? [];
    const named = people.map((id) => this.nameOf(`${event.type === "assigned" ? "staff" : (event.kind ?? "user")}:${id}`)).join(", ");
    const said = {
      assigned: people.length ? (named === who ? "took it" : `assigned it to ${named === "You" ? "you" : named}`) : "gave it back to the team",
      status: { closed: "closed it", open: "opened it again", pending: "waits for an answer" }[event.status] ?? "changed its state",
      joined: `brought in ${named}`,
      left: named === who ? "left" : `took out ${named}`,
      renamed: `named it “${event.title ?? ""}”`,
    }[event.type];
    return `${who} ${said ?? event.type} · ${clock(created_at)}`;
  }

  async takeBack(entry) {
    if (!confirm("Delete this message for everybody?")) return;
    try {
      this.take(await post(`${this.id}/edit`, { entry: entry.id }));
    } catch (error) {
      alert(error.message);
    }
  }
}

const key = (person) => `${person.kind}:${person.id}`;

function drawAssignee(assignee) {
  const select = part("assignee");
  const staff = [...options.team];
  if (assignee && !staff.some((one) => one.id === assignee.id)) staff.push(assignee);
  const choices = [["", "Nobody"], ...staff.map((one) => [one.id, one.id === options.me.id ? `${one.name} (you)` : one.name])];
  if (select.options.length !== choices.length) select.replaceChildren(...choices.map(([value, text]) => make("option", { value }, text)));
  select.value = assignee?.id ?? "";
}

function attached(files) {
  return make("div", { class: "inbox-attached" }, ...files.map(shown));
}

function shown(one) {
  if (one.has_thumbnail) {
    const picture = make("img", { src: file(one.id, true), alt: one.name, loading: "lazy" });
    return make("a", { href: file(one.id), target: "_blank", rel: "noopener" }, picture);
  }
  const size = one.size < 1e6 ? `${Math.ceil(one.size / 1e3)} KB` : `${(one.size / 1e6).toFixed(1)} MB`;
  return make("a", { href: file(one.id), target: "_blank", rel: "noopener", class: "inbox-doc" }, icon("description"), `${one.name} (${size})`);
}

export const step = (name) => {
  root.dataset.step = name;
};
