/** The items of one tab, as far as they are loaded, and the numbers on the bell. */

import type { Inbox } from "../rest.js";
import { cursor } from "../rest.js";
import type { Counts, InboxSeq, Item, ItemOrGone } from "../wire.js";

export type Filter = "all" | "unread" | "snoozed" | "archived";

const PLACES = { all: "inbox", unread: "inbox", snoozed: "snoozed", archived: "archived" };

export class Feed {
  items: Item[] = [];
  counts: Counts = { unseen: 0, unread: 0, snoozed: 0 };
  filter: Filter = "all";
  tag = "";
  isLoaded = false;
  isCounted = false;
  #next: string | undefined;
  #turn = 0;
  /** What was here before, wherever it is now. */
  readonly #known = new Set<string>();

  constructor(
    private readonly calls: Inbox,
    private readonly changed: () => void,
  ) {}

  get hasMore(): boolean {
    return Boolean(this.#next);
  }

  knows(id: string): boolean {
    return this.#known.has(id);
  }

  /** Answers from where to subscribe. */
  async count(): Promise<InboxSeq> {
    const { seq, ...counts } = await this.calls.counts();
    this.counts = counts;
    this.isCounted = true;
    this.changed();
    return seq;
  }

  async turn(filter: Filter, tag = ""): Promise<void> {
    this.filter = filter;
    this.tag = tag;
    this.items = [];
    this.isLoaded = false;
    this.changed();
    await this.load();
  }

  /** The first page. */
  async load(): Promise<void> {
    const turn = (this.#turn += 1);
    await this.#fetch(turn, undefined);
  }

  async more(): Promise<void> {
    if (this.#next) await this.#fetch(this.#turn, this.#next);
  }

  /** With a tag a page may be empty though there are more. */
  async #fetch(turn: number, from: string | undefined): Promise<void> {
    const { filter, tag } = this;
    const page = await this.calls.list({ filter, ...(tag && { tag }), cursor: from, limit: 30 });
    if (turn !== this.#turn) return;
    if (!from) this.items = [];
    this.#next = cursor(page.next);
    const known = new Set(this.items.map((one) => one.id));
    this.items = [...this.items, ...page.results.filter((one) => !known.has(one.id))];
    if (!page.results.length && this.#next) return this.#fetch(turn, this.#next);
    this.isLoaded = true;
    for (const one of page.results) this.#known.add(one.id);
    this.changed();
  }

  /** An item as it is now. */
  take(now: ItemOrGone): void {
    this.#known.add(now.id);
    const isShown = this.items.some((one) => one.id === now.id);
    this.items = this.items.filter((one) => one.id !== now.id);
    if (this.isLoaded && "title" in now && this.#belongs(now, isShown)) {
      this.items = [...this.items, now].sort((one, other) => other.shown_at.localeCompare(one.shown_at));
    }
    this.changed();
  }

  /** What was read stays under "unread" as long as it is looked at. */
  #belongs(item: Item, isShown: boolean): boolean {
    if (item.place !== PLACES[this.filter] || (this.tag && !item.tags.includes(this.tag))) return false;
    return this.filter !== "unread" || isShown || !item.read_at;
  }
}
