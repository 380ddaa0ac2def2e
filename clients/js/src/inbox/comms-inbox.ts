/** `<comms-inbox>`: a bell with the number of unread notifications, and the feed behind it. */

import { html, nothing, type TemplateResult } from "lit-html";
import type { CommsError } from "../http.js";
import type { LiveClient } from "../live.js";
import { Inbox, OwnPreferences, type Which } from "../rest.js";
import { drawEach } from "../widgets/each.js";
import { CommsElement } from "../widgets/element.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import { safeLink } from "../widgets/safe.js";
import type { Action, Changed, Item, ItemOrGone } from "../wire.js";
import english from "../words/inbox.en.json";
import { Feed, type Filter } from "./feed.js";
import styles from "./inbox.css";
import { Centre, type Desk } from "./preferences.js";

export type Word = keyof typeof english;
export type Translate = (word: Word, values?: Record<string, string | number>) => string;

const HOUR_MS = 3_600_000;
/** Nobody is kept longer from where they want to go. */
const PATIENCE_MS = 1000;

interface Tab {
  name: string;
  label: string;
  filter: Filter;
  tag: string;
}

export class CommsInbox extends CommsElement<Word> implements Desk {
  static override observedAttributes = [...CommsElement.observedAttributes, "inline", "tags"];

  protected readonly catalogue = "inbox";
  protected readonly english = english;
  #calls!: Inbox;
  #feed: Feed | null = null;
  #centre: Centre | null = null;
  #isOpen = false;
  #isChoosing = false;
  #snoozing = "";
  #rings = 0;
  #said = "";
  #problem: Word | "" = "";

  constructor() {
    super(styles);
  }

  // --- Life --------------------------------------------------------------------------------------

  protected async begin(line: LiveClient): Promise<void> {
    this.#calls = new Inbox(line.http);
    const feed = (this.#feed = new Feed(this.#calls, () => this.draw()));
    const own = new OwnPreferences(line.http, () => line.me());
    this.#centre = new Centre(own, this);
    this.hear(line, {
      notification: ({ notification, counts }) => {
        if (counts) feed.counts = counts;
        if (notification) this.#came(notification);
        this.draw();
      },
      announcement: ({ announcement }) => {
        if (announcement) this.#came(announcement);
        void this.attempt(() => feed.count());
      },
      reset: ({ feed: name }) => {
        if (name !== "conversations") void this.attempt(async () => Promise.all([feed.count(), this.#isSeen && feed.load()]));
      },
      signedout: () => this.#tell("signedOut"),
      state: ({ state }) => {
        if (state !== "live") return;
        if (this.#problem === "unreachable") this.#problem = "";
        void this.#follow(line, feed);
      },
    });
    this.onDocument("visibilitychange", () => this.#see());
    this.onDocument("pointerdown", (event) => this.#elsewhere(event));
    await this.#follow(line, feed);
    if (this.#isSeen) await this.attempt(() => feed.load());
  }

  /** From the numbers on: once. What fails is tried again with the next connection. */
  async #follow(line: LiveClient, feed: Feed): Promise<void> {
    if (line.position("inbox") !== undefined && feed.isCounted) return;
    await this.attempt(async () => line.subscribe({ ...(await feed.count()) }));
  }

  get #isInline(): boolean {
    return this.hasAttribute("inline");
  }

  get #isSeen(): boolean {
    return this.#isInline || this.#isOpen;
  }

  #came(item: ItemOrGone): void {
    const isNew = "title" in item && item.place === "inbox" && !item.seen_at && !item.read_at && !this.#feed?.knows(item.id);
    this.#feed?.take(item);
    if (!isNew) return;
    this.#rings += 1;
    this.#said = this.t("fresh", { title: item.title });
    this.dispatchEvent(new CustomEvent("comms-notification", { detail: item, bubbles: true, composed: true }));
  }

  // --- What is done ------------------------------------------------------------------------------

  /** Of what is only fetched the line tells, and it is fetched again with it. */
  async attempt(action: () => Promise<unknown>, isChange = false): Promise<void> {
    try {
      await action();
      this.#problem = "";
    } catch (error) {
      this.#problem = isChange ? troubleOf(error) : this.line?.state === "live" ? "failed" : this.#problem;
    }
    this.draw();
  }

  #tell(problem: Word | ""): void {
    this.#problem = problem;
    this.draw();
  }

  open(): void {
    this.#isOpen = true;
    this.#isChoosing = false;
    this.drawNow();
    const panel = this.find(".panel");
    panel?.classList.toggle("flipped", isBeyond(panel));
    panel?.focus();
    void this.attempt(async () => this.#feed?.load());
  }

  close(): void {
    this.#isOpen = false;
    this.drawNow();
    this.find(".bell")?.focus();
  }

  #elsewhere(event: Event): void {
    if (!this.#isOpen || event.composedPath().includes(this)) return;
    this.#isOpen = false;
    this.draw();
  }

  /** What is shown to a person is seen. */
  #see(): void {
    if (!this.#isSeen || this.#isChoosing || document.visibilityState !== "visible") return;
    const fresh = this.#feed?.items.filter((one) => !one.seen_at) ?? [];
    if (!fresh.length) return;
    const now = new Date().toISOString();
    for (const item of fresh) item.seen_at = now; // once
    void this.#change(this.#calls.seen({ ids: fresh.map((one) => one.id) }));
  }

  async #change(call: Promise<Changed>): Promise<void> {
    await this.attempt(() => this.#count(call));
  }

  async #count(call: Promise<Changed>): Promise<void> {
    const { counts } = await call;
    if (this.#feed) this.#feed.counts = counts;
  }

  /** An item as it is about to be; as it was, where the service does not take that. */
  async #turn(before: Item, now: ItemOrGone, call: Promise<Changed>): Promise<void> {
    const feed = this.#feed;
    feed?.take(now);
    try {
      await this.#count(call);
      this.#problem = "";
    } catch (error) {
      feed?.take(before);
      this.#problem = troubleOf(error);
      if (this.line?.state === "live") feed?.load().catch(() => undefined); // it may have been done
    }
    this.draw();
  }

  #toggleRead(item: Item): void {
    const now = item.read_at ? null : new Date().toISOString();
    void this.#turn(item, { ...item, read_at: now }, now ? this.#calls.read({ ids: [item.id] }) : this.#calls.unread([item.id]));
  }

  #readAll(tag: string): void {
    const which: Which = tag ? { all: true, tag } : { all: true };
    void this.attempt(async () => {
      for (let more = true; more; ) {
        const done = await this.#calls.read(which);
        if (this.#feed) this.#feed.counts = done.counts;
        more = done.more;
      }
      await this.#feed?.load();
    });
  }

  #archive(item: Item): void {
    const isArchived = item.place === "archived";
    this.#away(item, isArchived ? this.#calls.unarchive([item.id]) : this.#calls.archive({ ids: [item.id] }));
  }

  #snooze(item: Item, until: Date | null): void {
    this.#snoozing = "";
    this.#away(item, until ? this.#calls.snooze([item.id], until) : this.#calls.unsnooze([item.id]));
  }

  /** Out of this tab; the focus goes to the next one. */
  #away(item: Item, call: Promise<Changed>): void {
    const at = this.#feed?.items.findIndex((one) => one.id === item.id) ?? 0;
    void this.#turn(item, { id: item.id, kind: item.kind, place: "gone" }, call);
    this.drawNow();
    const titles = this.root.querySelectorAll<HTMLElement>(".item .title");
    (titles[at] ?? titles[at - 1] ?? this.find(".panel"))?.focus();
  }

  async #press(item: Item, action: Action): Promise<void> {
    const told = this.attempt(async () => this.#feed?.take(await this.#calls.act(item.id, action.key)));
    await atMost(PATIENCE_MS, told);
    this.#go(item, action.link);
  }

  async #openItem(event: MouseEvent, item: Item): Promise<void> {
    const isElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    if (!isElsewhere) event.preventDefault();
    if (!item.read_at) {
      const read = { ...item, read_at: new Date().toISOString() };
      await atMost(PATIENCE_MS, this.#turn(item, read, this.#calls.read({ ids: [item.id] })));
    }
    if (!isElsewhere) this.#go(item, item.link);
  }

  /** The page may go there in its own way. */
  #go(item: Item, to: string): void {
    const link = to ? safeLink(to) : undefined;
    const detail = { item, link: to };
    const event = new CustomEvent("comms-open", { detail, bubbles: true, composed: true, cancelable: true });
    if (this.dispatchEvent(event) && link) location.assign(link);
  }

  // --- How it looks ------------------------------------------------------------------------------

  protected override afterDrawing(): void {
    drawEach(this.find(".feed ul"), "li", this.#feed?.items ?? [], (one) => one.id, (one) => this.#item(one));
    this.#see();
  }

  protected template(): TemplateResult {
    const unread = this.#feed?.counts.unread ?? 0;
    return html`<div class="inbox ${this.#isInline ? "inline" : ""}" dir=${this.direction} lang=${this.locale} @keydown=${this.#key}>
      ${this.#isInline
        ? nothing
        : html`<button type="button" class="bell icon" aria-haspopup="dialog" aria-expanded=${this.#isOpen} aria-label=${this.t("bell", { count: unread })} @click=${() => (this.#isOpen ? this.close() : this.open())}>
            <span class=${this.#rings ? `ring${this.#rings % 2}` : ""}>${icon(paths.bell)}</span>
            ${unread ? html`<span class="badge" aria-hidden="true">${unread > 99 ? "99+" : unread}</span>` : nothing}
          </button>`}
      ${this.#isSeen && this.#feed ? this.#panel(this.#feed) : nothing}
      <p class="unseen" role="status" aria-live="polite">${this.#said}</p>
    </div>`;
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    if (this.#snoozing) {
      this.#snoozing = "";
      this.draw();
    } else if (this.#isOpen) this.close();
    else return;
    event.stopPropagation();
  };

  #panel(feed: Feed): TemplateResult {
    const t = this.t;
    const turn = (isChoosing: boolean) => () => {
      this.#isChoosing = isChoosing;
      if (isChoosing) void this.#centre?.load();
      this.drawNow();
      this.find(".panel")?.focus();
    };
    const head = this.#isChoosing
      ? html`${tool(paths.back, t("back"), turn(false), { kind: "back" })}<h2>${t("settings")}</h2>`
      : html`<h2>${t("title")}</h2>${tool(paths.twice, t("readAll"), () => this.#readAll(feed.tag))}${tool(paths.settings, t("settings"), turn(true))}`;
    return html`<section class="panel" role=${this.#isInline ? "region" : "dialog"} aria-label=${this.#isChoosing ? t("settings") : t("title")} tabindex="-1">
      <header>${head}${this.#isInline ? nothing : tool(paths.close, t("close"), () => this.close())}</header>
      ${this.#notice()}
      ${this.#isChoosing ? this.#centre?.render() : this.#tabs(feed)}
    </section>`;
  }

  #notice(): TemplateResult {
    const why = this.line?.trouble?.code;
    const state = this.line?.state;
    const line = state !== "live" && why !== "unreachable" && this.has(why) ? why : state === "offline" ? state : "";
    const word = this.#problem || line;
    return html`<p class="notice" role="status">${word ? this.t(word) : nothing}</p>`;
  }

  #tabs(feed: Feed): TemplateResult {
    const t = this.t;
    const tags = (this.getAttribute("tags") ?? "").split(",").map((tag) => tag.trim()).filter(Boolean);
    const tabs: Tab[] = [
      { name: "all", label: t("all"), filter: "all", tag: "" },
      { name: "unread", label: t("unread"), filter: "unread", tag: "" },
      ...tags.map((tag): Tab => ({ name: `tag-${tag}`, label: tag, filter: "all", tag })),
      { name: "snoozed", label: t("snoozed"), filter: "snoozed", tag: "" },
      { name: "archived", label: t("archived"), filter: "archived", tag: "" },
    ];
    const isOn = (one: Tab) => one.filter === feed.filter && one.tag === feed.tag;
    const count = { all: 0, unread: feed.counts.unread, snoozed: feed.counts.snoozed, archived: 0 };
    return html`<div class="tabs" role="tablist" aria-label=${t("title")} @keydown=${walk}>
        ${tabs.map((one) => html`<button type="button" role="tab" aria-selected=${isOn(one)} aria-controls="feed" tabindex=${isOn(one) ? 0 : -1} dir="auto"
          @click=${() => void this.attempt(() => feed.turn(one.filter, one.tag))}>${one.label}${count[one.filter] && !one.tag ? html` <small>${count[one.filter]}</small>` : nothing}</button>`)}
      </div>
      <div class="feed" id="feed" role="tabpanel" tabindex="0" aria-label=${tabs.find(isOn)?.label ?? ""}>
        ${feed.items.length
          ? html`<ul></ul>`
          : html`<p class="hint">${feed.isLoaded ? t("nothing") : t("loading")}</p>`}
        ${feed.hasMore ? html`<button type="button" class="more" @click=${() => void this.attempt(() => feed.more())}>${t("more")}</button>` : nothing}
      </div>`;
  }

  #item(item: Item): TemplateResult {
    const t = this.t;
    const isUnread = !item.read_at;
    const link = item.link ? safeLink(item.link) : undefined;
    const image = item.image ? safeLink(item.image) : undefined;
    const open = (event: MouseEvent) => void this.#openItem(event, item);
    return html`<div class="item ${isUnread ? "unread" : ""} ${item.priority}">
      ${image ? html`<img src=${image} alt="" loading="lazy">` : nothing}
      <div class="body">
        ${link
          ? html`<a class="title" href=${link} dir="auto" @click=${open}>${item.title}</a>`
          : html`<button type="button" class="title" dir="auto" @click=${open}>${item.title}</button>`}
        ${isUnread ? html`<span class="dot" role="img" aria-label=${t("isUnread")}></span>` : nothing}
        ${item.body ? html`<p class="text" dir="auto">${item.body}</p>` : nothing}
        ${item.actions.length ? this.#actions(item) : nothing}
        <time datetime=${item.shown_at} title=${this.time(item.shown_at, { dateStyle: "full", timeStyle: "short" })}>${this.#ago(item.shown_at)}</time>
        ${item.snoozed_until ? html`<span class="until">${t("until", { time: this.time(item.snoozed_until, { dateStyle: "medium", timeStyle: "short" }) })}</span>` : nothing}
      </div>
      ${this.#toolbar(item, isUnread)}
    </div>`;
  }

  #actions(item: Item): TemplateResult {
    const isAnswered = item.actions.some((one) => !one.link && one.pressed_at);
    return html`<div class="actions">${item.actions.map((one) => {
      const label = one.pressed_at ? this.t("done", { label: one.label }) : one.label;
      const isOver = !one.link && isAnswered;
      return html`<button type="button" class=${one.style} aria-disabled=${isOver} aria-label=${label} @click=${() => isOver || void this.#press(item, one)}>${one.pressed_at ? icon(paths.check) : nothing}<span dir="auto">${one.label}</span></button>`;
    })}</div>`;
  }

  #toolbar(item: Item, isUnread: boolean): TemplateResult {
    const t = this.t;
    const isSnoozing = this.#snoozing === item.id;
    const choose = () => {
      this.#snoozing = isSnoozing ? "" : item.id;
      this.draw();
    };
    const isSnoozed = item.place === "snoozed";
    const left = (event: FocusEvent) => {
      if (!isSnoozing || (event.currentTarget as Element).contains(event.relatedTarget as Node | null)) return;
      this.#snoozing = "";
      this.draw();
    };
    return html`<div class="menu tools" @focusout=${left}>
      ${tool(isUnread ? paths.check : paths.dot, isUnread ? t("read") : t("keep"), () => this.#toggleRead(item))}
      ${isSnoozed
        ? tool(paths.bell, t("unarchive"), () => this.#snooze(item, null))
        : item.place === "inbox" ? tool(paths.clock, t("snooze"), choose, { expanded: isSnoozing }) : nothing}
      ${isSnoozed ? nothing : tool(paths.archive, item.place === "archived" ? t("unarchive") : t("archive"), () => this.#archive(item))}
      ${isSnoozing
        ? html`<div class="choices">${(["hour", "tomorrow", "week"] as const).map((one) => html`<button type="button" @click=${() => this.#snooze(item, moment(one, this.#now))}>${t(one)}</button>`)}</div>`
        : nothing}
    </div>`;
  }

  get #now(): number {
    return this.line?.http.now() ?? Date.now();
  }

  #ago(at: string): string {
    const seconds = Math.min(0, (Date.parse(at) - this.#now) / 1000);
    const units = [["day", 86_400], ["hour", 3_600], ["minute", 60]] as const;
    if (seconds < -7 * 86_400) return this.time(at, { dateStyle: "medium" });
    const [unit, size] = units.find(([, size]) => -seconds >= size) ?? (["minute", 60] as const);
    return new Intl.RelativeTimeFormat(this.locale, { numeric: "auto", style: "short" }).format(Math.ceil(seconds / size), unit);
  }
}

async function atMost(milliseconds: number, action: Promise<void>): Promise<void> {
  await Promise.race([action, new Promise((resolve) => setTimeout(resolve, milliseconds))]);
}

function troubleOf(error: unknown): Word {
  return (error as CommsError).status === 0 ? "unreachable" : "failed";
}

/** Beyond the edge of what is seen. */
function isBeyond(panel: Element): boolean {
  const { left, right } = panel.getBoundingClientRect();
  return left < 0 || right > innerWidth;
}

function moment(when: "hour" | "tomorrow" | "week", now: number): Date {
  const at = new Date(now);
  if (when === "hour") return new Date(at.getTime() + HOUR_MS);
  at.setDate(at.getDate() + (when === "tomorrow" ? 1 : 7));
  at.setHours(8, 0, 0, 0);
  return at;
}

/** Arrow keys go from tab to tab, in the direction that is read. */
function walk(event: KeyboardEvent): void {
  const tabs = [...(event.currentTarget as Element).querySelectorAll<HTMLElement>("[role=tab]")];
  const isRtl = getComputedStyle(event.currentTarget as Element).direction === "rtl";
  const step = { ArrowRight: isRtl ? -1 : 1, ArrowLeft: isRtl ? 1 : -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = tabs[(tabs.indexOf(event.target as HTMLElement) + step + tabs.length) % tabs.length];
  next?.click();
  next?.focus();
}

customElements.define("comms-inbox", CommsInbox);
