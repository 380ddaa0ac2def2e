// The queues and their rows, or what a search has found. A row that has changed is fetched by its id and
// finds its new place.

import { get, options, reason } from "./api.js";
import { ago, arrange, face, icon, later, make, MEDIA, part, safe } from "./dom.js";

const EMPTY = {
  mine: "Nothing is assigned to you.",
  unassigned: "Everything is taken care of.",
  open: "No conversation is open.",
  closed: "No conversation is closed yet.",
  found: "Nothing was found.",
};
/** That are fetched one after the other to close a gap. */
const MOST_PAGES = 10;
const STATUS = { open: "Open", pending: "Waiting", closed: "Closed" };

export class List {
  /** `came` gets a row as it is now, and gives the row to show; `isUnsent` tells of a reply that waits. */
  constructor({ opened, came, isUnsent }) {
    this.opened = opened;
    this.came = came;
    this.isUnsent = isUnsent;
    this.rows = new Map(); // place -> row
    this.known = new Map(); // id -> {row, turn}: the latest that is known of it
    this.turn = 0;
    this.upTo = ""; // when the latest of them was active, where no page is missing between them
    this.nodes = new Map(); // place -> {node, about}
    this.queue = new URLSearchParams(location.search).get("queue") ?? localStorage.getItem("inbox-queue") ?? "open";
    if (!(this.queue in EMPTY)) this.queue = "open";
    this.next = null;
    this.text = "";
    this.current = {}; // id, and the seq that was looked for
    this.asked = 0;
    this.changed = new Set();
    this.fetchChanged = later(() => this.update(), 150);
    this.search = later(() => this.load(), 250);
    part("queues").addEventListener("click", ({ target }) => {
      const name = target.closest("[data-queue]")?.dataset.queue;
      if (name) this.show(name);
    });
    part("search").addEventListener("input", ({ target }) => {
      this.text = target.value.trim();
      this.search();
    });
    part("more").addEventListener("click", () => this.more());
    const box = part("rows-box");
    box.addEventListener("scroll", () => {
      if (box.scrollTop + box.clientHeight > box.scrollHeight - 300) this.more();
    });
    setInterval(() => this.draw(), 60_000); // the ages
  }

  show(queue) {
    this.queue = queue;
    this.text = part("search").value = "";
    localStorage.setItem("inbox-queue", queue);
    const address = new URL(location);
    address.searchParams.delete("queue");
    history.replaceState(history.state, "", address);
    this.load();
  }

  get query() {
    return this.isSearch ? { q: this.text } : { queue: this.queue };
  }

  get isSearch() {
    return this.text !== "";
  }

  /** The first page, in place of what there is. */
  async load() {
    const number = (this.asked += 1);
    part("rows-box").setAttribute("aria-busy", "true");
    try {
      const found = await this.ask(this.query);
      if (number !== this.asked) return;
      this.isMissing = false;
      this.rows.clear();
      this.upTo = found.results[0]?.active_at ?? "";
      this.take(found);
      this.goOn(found.next);
      part("rows-box").scrollTop = 0;
    } catch (error) {
      if (number !== this.asked) return;
      this.isMissing = true;
      part("found").textContent = reason(error);
      part("found").hidden = false;
    }
    part("rows-box").removeAttribute("aria-busy");
  }

  /** Of a queue pages anew, until one ends with what was here: nothing has come behind that. */
  async refresh({ isBack = false } = {}) {
    if (this.isMissing) return this.load();
    if (this.isSearch) return undefined;
    const number = this.asked;
    const before = new Map(this.rows);
    const end = [...before.values()].at(-1);
    const ids = new Set();
    let found, first, last, isAsBefore;
    for (let pages = 1; pages <= MOST_PAGES; pages += 1) {
      found = await this.ask({ queue: this.queue, ...(found && { after: found.next }) });
      if (number !== this.asked) return undefined;
      for (const row of found.results) ids.add(row.id);
      first ??= found.results[0];
      last = found.results.at(-1);
      isAsBefore = last?.active_at <= this.upTo;
      this.take(found);
      if (!found.next || isAsBefore || !end || last.active_at < end.active_at) break;
    }
    this.upTo = first?.active_at ?? "";
    const keepsRest = found.next && isAsBefore;
    for (const row of before.values()) {
      const isBehind = keepsRest && row.active_at < last.active_at;
      if (isBehind && isBack) this.heard(row.id); // it may be closed, or with another
      if (!isBehind && !ids.has(row.id) && this.rows.get(row.id) === row) this.rows.delete(row.id);
    }
    return this.goOn(keepsRest ? this.next : found.next);
  }

  async more() {
    if (!this.next || this.isLoading) return;
    this.isLoading = true;
    const number = this.asked;
    try {
      const found = await this.ask({ ...this.query, after: this.next });
      if (number !== this.asked) return;
      this.take(found);
      this.goOn(found.next);
    } catch {
      return; // the button is still there
    } finally {
      this.isLoading = false;
    }
  }

  async ask(query) {
    const turn = (this.turn += 1);
    return { ...(await get("rows", query)), turn };
  }

  /** A row as it is by all that is known: a late answer does not take newer state back. */
  latest(row, turn) {
    const known = this.known.get(row.id);
    const isLate = known && (row.last_seq < known.row.last_seq || (row.last_seq === known.row.last_seq && turn < known.turn));
    if (!isLate) this.known.set(row.id, { row, turn });
    return this.came(isLate ? { ...known.row, hit: row.hit } : row);
  }

  take({ results, counts, turn }) {
    for (const one of results) {
      const row = this.latest(one, turn);
      if (this.isSearch || this.belongs(row)) this.rows.set(place(row), row);
      else this.rows.delete(place(row));
    }
    this.count(counts);
    this.draw();
  }

  /** Where the next page begins, if there is one. */
  goOn(next) {
    this.next = next;
    this.draw();
  }

  /** The socket tells that something is new about a conversation. */
  heard(id) {
    this.changed.add(id);
    this.fetchChanged();
  }

  async update() {
    const ids = [...this.changed].slice(0, 50);
    if (!ids.length) return;
    for (const id of ids) this.changed.delete(id);
    try {
      const found = await this.ask({ ids: ids.join() });
      for (const row of found.results) this.put(this.latest(row, found.turn));
      this.count(found.counts);
      this.draw();
    } catch {
      return; // the next refresh brings them
    }
    if (this.changed.size) this.fetchChanged();
  }

  /** A row as it is now: in its place, or out of this queue. */
  put(row) {
    if (this.isSearch) {
      for (const [at, one] of this.rows) if (one.id === row.id) this.rows.set(at, { ...row, hit: one.hit });
      return;
    }
    const last = [...this.rows.values()].at(-1);
    const isBeyond = this.next && last && row.active_at < last.active_at && !this.rows.has(row.id);
    if (this.belongs(row) && !isBeyond) this.rows.set(row.id, row);
    else this.rows.delete(row.id);
  }

  belongs(row) {
    if (this.queue === "closed") return row.status === "closed";
    if (row.status === "closed") return false;
    if (this.queue === "mine") return row.assignee?.id === options.me.id;
    return this.queue === "open" || row.assignee === null;
  }

  count(counts) {
    for (const [name, number] of Object.entries(counts)) {
      part("queues").querySelector(`[data-count=${name}]`).textContent = number > 99 ? "99+" : number || "";
    }
    document.title = document.title.replace(/^(\(\d+\+?\) )?/, counts.mine ? `(${counts.mine}) ` : "");
  }

  /** A row that the page has changed itself. */
  replace(row) {
    this.put(this.latest(row, (this.turn += 1)));
    this.draw();
  }

  sorted() {
    const rows = [...this.rows.values()];
    if (!this.isSearch) rows.sort((a, b) => (a.active_at < b.active_at ? 1 : a.active_at > b.active_at ? -1 : a.id < b.id ? 1 : -1));
    this.rows = new Map(rows.map((row) => [place(row), row]));
    return rows;
  }

  draw() {
    const rows = this.sorted();
    const nodes = rows.map((row) => this.node(row));
    for (const id of this.nodes.keys()) if (!this.rows.has(id)) this.nodes.delete(id);
    arrange(part("rows"), nodes);
    for (const button of part("queues").children) {
      const isIt = !this.isSearch && button.dataset.queue === this.queue;
      button.toggleAttribute("aria-current", isIt);
      if (isIt) button.setAttribute("aria-current", "true");
    }
    part("none").hidden = rows.length > 0;
    part("none").textContent = EMPTY[this.isSearch ? "found" : this.queue];
    part("more").hidden = !this.next;
    part("found").hidden = !this.isSearch;
    part("found").textContent = this.isSearch ? `${rows.length}${this.next ? " and more" : ""} found` : "";
  }

  isCurrent({ id, hit }) {
    return id === this.current.id && (!hit || hit.seq === this.current.at);
  }

  node(row) {
    const known = this.nodes.get(place(row));
    const about = JSON.stringify([row, this.isCurrent(row), this.isUnsent(row.id), ago(when(row))]);
    if (known?.about === about) return known.node;
    const link = this.link(row);
    const node = known?.node ?? make("li");
    const hadFocus = node.contains(document.activeElement);
    node.replaceChildren(link);
    if (hadFocus) link.focus();
    this.nodes.set(place(row), { node, about });
    return node;
  }

  link(row) {
    const name = row.person.name || "Somebody";
    const foot = make("span", { class: "inbox-row-foot" }, ...this.foot(row));
    const { hit } = row;
    const text = hit ? safe("span", { class: "inbox-row-text" }, hit.snippet) : make("span", { class: "inbox-row-text" }, ...excerpt(row));
    return make(
      "a",
      {
        href: hrefOf(row.id, hit?.seq),
        class: `inbox-row${row.is_unread ? " inbox-is-unread" : ""}`,
        "aria-current": this.isCurrent(row) ? "true" : false,
        "data-id": row.id,
        click: (event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          this.opened(row.id, hit?.seq);
        },
      },
      face(name),
      make(
        "span",
        {},
        make(
          "span",
          { class: "inbox-row-top" },
          make("span", { class: "inbox-row-name" }, name),
          make("time", { datetime: when(row) }, ago(when(row))),
        ),
        text,
        foot,
      ),
    );
  }

  foot(row) {
    const [sign, label] = MEDIA[row.latest?.medium ?? "chat"];
    const parts = [icon(sign, label)];
    parts.push(make("span", {}, row.assignee ? row.assignee.name : "Unassigned"));
    if (row.status !== "open") parts.push(make("span", {}, `· ${STATUS[row.status]}`));
    if (this.isUnsent(row.id)) parts.push(make("span", { class: "inbox-failed" }, "· Not sent"));
    if (row.is_unread) parts.push(make("span", { class: "inbox-dot", role: "img", "aria-label": "Unread" }));
    return parts;
  }

  select(id, at) {
    this.current = { id, at };
    this.draw();
  }

  /** To the row that is so many further, from the one that has the focus or is open. */
  walk(step) {
    const links = [...part("rows").querySelectorAll("a")];
    const from = [document.activeElement, part("rows").querySelector("[aria-current]")];
    const at = links.indexOf(from.find((one) => links.includes(one)));
    const link = links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)];
    link?.focus();
    link?.scrollIntoView({ block: "nearest" });
    if (link === links.at(-1)) this.more();
  }
}

/** A conversation has one in a queue; in a search one for each message that was found. */
const place = ({ id, hit }) => (hit ? `${id}/${hit.seq}` : id);

const when = ({ hit, active_at }) => hit?.at ?? active_at;

export const hrefOf = (id, at) => `${options.base}${id}/${at === undefined ? "" : `?at=${at}`}`;

function excerpt({ latest, title }) {
  if (!latest) return [title];
  if (latest.is_deleted) return ["Deleted"];
  const who = latest.author.kind === "staff" ? (latest.author.id === options.me.id ? "You: " : `${latest.name}: `) : "";
  return [who, make("bdi", {}, latest.excerpt || "A file")];
}
