// What is shown of a thread: its entries in their order, where one is in it, and the way by keys.

import { Actions } from "./actions.js";
import { ME } from "./api.js";
import { arrange, day, key, make, part } from "./dom.js";
import { looks } from "./message.js";

const NEAR_PX = 600;
const AT_END_PX = 60;
const TOGETHER_MS = 300_000;

export class Log {
  #nodes = new Map(); // id -> {node, about}
  #marked; // the seq that somebody has asked to see
  #reached; // the id that the Tab key comes back to
  isAtEnd = true;

  constructor(thread) {
    this.thread = thread;
    this.box = part("scroll");
    this.list = part("entries");
    this.actions = new Actions(thread, this.list);
    this.box.addEventListener("scroll", () => this.#scrolled());
    this.box.addEventListener("keydown", (event) => this.#pressed(event));
    this.list.addEventListener("focusin", ({ target }) => this.#reach(target.closest("[data-item]")));
    part("older").addEventListener("click", () => thread.older());
    part("newer").addEventListener("click", () => thread.toEnd().catch(() => {}));
    new ResizeObserver(() => this.stay()).observe(this.list);
  }

  /** Another piece of it, or another thread: at its end, or at a seq. */
  begin(at) {
    this.clear();
    this.isAtEnd = at === undefined;
    this.draw();
    if (at === undefined) this.toEnd();
    else this.#at(at)?.scrollIntoView({ block: "center" });
  }

  clear() {
    this.actions.hide();
    this.#nodes.clear();
    this.#marked = this.#reached = undefined;
    this.hasNews = false;
    this.list.replaceChildren();
  }

  // --- Where one is ----------------------------------------------------------------------------

  toStart() {
    this.isAtEnd = false;
    this.box.scrollTop = 0;
    this.list.querySelector("[data-seq]")?.focus({ preventScroll: true });
  }

  toEnd() {
    this.isAtEnd = true;
    this.stay();
    this.#drawEnd(false);
  }

  /** Whoever is at the end stays there. */
  stay() {
    if (this.isAtEnd) this.box.scrollTop = this.box.scrollHeight;
  }

  /** Something is new, and may be out of sight. */
  announce() {
    if (this.isAtEnd) this.toEnd();
    else this.#drawEnd(true);
  }

  /** Somebody has asked to see it. */
  show(seq) {
    this.isAtEnd = false;
    this.#marked = seq;
    this.draw();
    const node = this.#at(seq);
    node?.scrollIntoView({ block: "center" });
    node?.focus({ preventScroll: true });
  }

  /** The node of an entry; of one that is gone, what comes after it. */
  #at(seq) {
    const found = this.thread.seqs().find((one) => one >= seq);
    return this.list.querySelector(`[data-seq="${found}"]`);
  }

  /** The seq of the first entry that can be seen. */
  firstSeen() {
    const found = this.#anchor()?.node.closest("[data-seq]");
    return found ? Number(found.dataset.seq) : this.thread.since;
  }

  #scrolled() {
    const below = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
    this.isAtEnd = !this.thread.hasNewer && below < AT_END_PX;
    if (this.isAtEnd) {
      this.#drawEnd(false);
      this.thread.see();
    }
    this.#more();
  }

  #more() {
    const { scrollHeight, scrollTop, clientHeight } = this.box;
    if (!clientHeight) return; // on a phone another pane is shown
    if (scrollTop < NEAR_PX) this.thread.older();
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) this.thread.newer();
  }

  #drawEnd(hasNews) {
    this.hasNews = hasNews || (this.hasNews && !this.isAtEnd);
    part("newer").textContent = this.hasNews ? "New messages" : "To the latest message";
    part("newer").hidden = !this.hasNews && !this.thread.hasNewer;
  }

  /** The first thing that can be seen, and where; not a day, which goes before whatever is first in it. */
  #anchor() {
    const edge = this.box.getBoundingClientRect().top;
    for (const node of this.list.querySelectorAll(":scope > :not(.inbox-day)")) {
      const { top, bottom } = node.getBoundingClientRect();
      if (bottom > edge) return { node, item: node.dataset.item, top };
    }
    return undefined;
  }

  // --- Drawing ---------------------------------------------------------------------------------

  /** What one reads stays where it is. */
  draw() {
    if (!this.thread.entries) return;
    const anchor = this.isAtEnd ? undefined : this.#anchor();
    part("older").hidden = !this.thread.hasOlder;
    this.#fill();
    this.actions.stay();
    if (!anchor) {
      this.stay();
      return;
    }
    const node = this.#nodes.get(anchor.item)?.node;
    if (node) this.box.scrollTop += node.getBoundingClientRect().top - anchor.top;
    this.#drawEnd(false);
    this.#more();
  }

  #fill() {
    const seen = this.#seenUpTo();
    const nodes = [];
    let before = {}, lastDay = "";
    for (const one of this.#items()) {
      const said = one.entry ?? one.note ?? one.waits;
      const today = day(said.created_at);
      if (today !== lastDay) nodes.push(this.#keep(`day ${today}`, today, () => make("li", { class: "inbox-day" }, today)));
      const by = this.#by(one);
      const follows = by !== "" && by === before.by && today === lastDay && new Date(said.created_at) - new Date(before.at) < TOGETHER_MS;
      const look = { follows, receipt: one.entry?.seq === seen.seq ? seen.label : "", isMarked: one.entry && one.entry.seq === this.#marked };
      const about = JSON.stringify([one, look, this.thread.sent.get(one.id), this.thread.nameOf(by.replace("note ", ""))]);
      nodes.push(this.#keep(one.id, about, () => looks(this.thread, one, look)));
      before = { by, at: said.created_at };
      lastDay = today;
    }
    const ids = new Set(nodes.map((node) => node.dataset.item));
    for (const id of this.#nodes.keys()) if (!ids.has(id)) this.#nodes.delete(id);
    arrange(this.list, nodes);
    this.#reach();
  }

  #by({ entry, note, waits }) {
    if (entry?.kind === "system") return "";
    if (waits) return `${waits.isNote ? "note " : ""}${ME}`;
    return note ? `note ${key(note.author)}` : key(entry.author);
  }

  #items() {
    const { thread } = this;
    const items = [...thread.entries.values()].map((one) => ({ id: one.id, at: [one.seq, 0, ""], entry: one }));
    for (const one of thread.notes.values()) items.push({ id: one.id, at: [one.after_seq, 1, one.id], note: one });
    items.sort((a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1] || (a.at[2] < b.at[2] ? -1 : 1));
    if (thread.hasNewer) return items;
    const waits = thread.held.of(thread.id).map((one) => ({ id: one.id, waits: one, state: thread.held.state(one), isOnItsWay: thread.held.isOnItsWay(one) }));
    return [...items, ...waits];
  }

  /** A node that is made anew has the focus that the one before had. */
  #keep(id, about, made) {
    const known = this.#nodes.get(id);
    if (known?.about === about) return known.node;
    const node = made();
    node.dataset.item = id;
    this.#nodes.set(id, { node, about });
    if (known) {
      const hadFocus = known.node.contains(document.activeElement);
      known.node.replaceWith(node);
      if (hadFocus) node.focus();
    }
    return node;
  }

  /** The last thing the team said in the chat, and how far the person has come. */
  #seenUpTo() {
    const { people, entries } = this.thread;
    const users = people.filter((one) => one.kind === "user");
    const read = Math.max(0, ...users.map((one) => one.read_seq));
    const here = Math.max(0, ...users.map((one) => one.delivered_seq));
    const ours = [...entries.values()].filter((one) => one.kind === "text" && one.medium === "chat" && one.author.kind !== "user");
    const last = ours.reduce((a, b) => (a && a.seq > b.seq ? a : b), undefined);
    if (!last) return {};
    return { seq: last.seq, label: read >= last.seq ? "Seen" : here >= last.seq ? "Delivered" : "Sent" };
  }

  // --- By keys ---------------------------------------------------------------------------------

  /** One entry is reached by the Tab key: the last that had the focus, or the last of all. */
  #reach(node) {
    if (node) this.#reached = node.dataset.item;
    const all = [...this.list.querySelectorAll("[data-seq]")];
    const it = all.find((one) => one.dataset.item === this.#reached) ?? all.at(-1);
    for (const one of all) one.tabIndex = one === it ? 0 : -1;
  }

  #pressed(event) {
    const { key: pressed, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const entry = target.closest("[data-seq]");
    const step = { ArrowUp: -1, ArrowDown: 1 }[pressed];
    if (pressed === "Home") this.thread.toStart().catch(() => {});
    else if (pressed === "End") this.thread.toEnd().catch(() => {});
    else if (step && entry === target) this.#walk(entry, step);
    else if (pressed === "Enter" && entry === target) this.actions.begin(entry);
    else if (pressed === "Escape" && entry && entry !== target) this.actions.end(entry);
    else return;
    event.preventDefault();
  }

  #walk(entry, step) {
    const all = [...this.list.querySelectorAll("[data-seq]")];
    const next = all[all.indexOf(entry) + step];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }
}
