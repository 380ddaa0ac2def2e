/** `<comms-chat>`: the conversations of a person, and one of them. */

import { html, nothing, type TemplateResult } from "lit-html";
import type { CommsError } from "../http.js";
import type { LiveClient } from "../live.js";
import { Conversations, cursor } from "../rest.js";
import { drawEach } from "../widgets/each.js";
import { CommsElement } from "../widgets/element.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Conversation, Entry, EntryFrame, MarkFrame, PresenceFrame, Somebody } from "../wire.js";
import english from "../words/chat.en.json";
import { avatar } from "./avatar.js";
import styles from "./chat.css";
import { Composer } from "./composer.js";
import { Log } from "./log.js";
import { sameDay, summary, told, waiting, type Step, type View, type Word } from "./message.js";
import type { More } from "./more.js";
import { Thread } from "./thread.js";

const MOST_FOLLOWED = 150;
const PAGE = 50;
const MOST_WATCHED = 50;
/** A frame that tells of another conversation may be lost; and many may come at once. */
const LOOK_MS = 30_000;
const SOON_MS = 200;
/** Of a file, where the page does not tell: as the service without a setting. */
const LARGEST_MB = 25;

export class CommsChat extends CommsElement<Word> implements View {
  static override observedAttributes = [...CommsElement.observedAttributes, "conversation", "with", "support"];

  protected readonly catalogue = "chat";
  protected readonly english = english;
  more: More | undefined;
  thread!: Thread;
  #calls!: Conversations;
  active: string | null = null;
  step: Step = "";
  #me = "";
  #list: Conversation[] = [];
  #next: string | undefined;
  #isArchive = false;
  #open: Thread | null = null;
  /** The only one, while it is asked for. */
  #only: Promise<Conversation> | null = null;
  #composer: Composer | null = null;
  readonly #log = new Log(
    this.root,
    () => this.draw(),
    () => this.#see(),
  );
  #presence = new Map<string, PresenceFrame>();
  #watching: (() => void) | null = null;
  #said = "";
  #problem: { error: unknown; what: string | undefined } | null = null;
  #drawSearch: (() => void) | undefined;
  #isMenuOpen = false;
  #isReady = false;
  #isSignedOut = false;
  /** Another for each time that somebody goes elsewhere. */
  #choice = {};
  #missed = 0;
  #lists = 0;
  #latestList = 0;
  #due: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super(styles);
  }

  // --- Beginning ---------------------------------------------------------------------------------

  protected async begin(line: LiveClient): Promise<void> {
    const changed = () => this.draw();
    this.#open = this.#only = null;
    this.#list = [];
    this.#isReady = false;
    const calls = (this.#calls = new Conversations(line.http));
    this.more = undefined;
    this.#me = "";
    this.#composer = new Composer({
      line,
      calls,
      me: () => this.#me,
      files: () => this.more?.files,
      need: async () => (await this.need())?.files,
      during: (off) => this.during(off),
      t: this.t,
      find: (selector) => this.find(selector),
      changed,
      authorOf: (entry) => this.name(entry.author),
      lastOwn: () => this.more?.lastOwn(),
      failed: (error, what) => this.#failed(error, what),
    });
    this.hear(line, {
      entry: (frame) => this.#entry(frame),
      "entry.changed": (frame) => this.#changed(frame),
      read: (frame) => this.#mark(frame),
      delivered: (frame) => this.#mark(frame),
      presence: (frame) => this.#set(() => this.#presence.set(frame.user_id, frame)),
      joined: ({ conversation }) => this.#joined(conversation),
      typing: (frame) => this.#with(frame.conversation, (thread) => thread.startTyping(frame)),
      sent: (sent) => this.#with(sent.conversation, (thread) => thread.acknowledge(sent.clientId)),
      unsent: (one) => this.#with(one.conversation, (thread) => this.#unsent(thread)),
      reset: ({ key }) => {
        this.#refreshSoon();
        this.#with(key, (thread) => void this.#load(thread));
      },
      gone: ({ key }) => this.#gone(key),
      signedout: () => this.#set(() => (this.#isSignedOut = true)),
      state: ({ state }) => {
        if (state !== "offline") this.#isSignedOut = false; // an answer that was on its way says nothing of it
        if (state !== "live") return;
        if (isLost(this.#problem?.error)) this.#problem = null;
        void this.#refresh();
      },
    });
    const seen = () => document.visibilityState === "visible" && void this.#refresh();
    const look = setInterval(seen, LOOK_MS);
    this.during(() => clearInterval(look));
    this.during(() => this.#watching?.());
    this.during(() => this.#open && line.presence("active")); // a client that others use, too
    const shown = new IntersectionObserver(() => this.#look());
    shown.observe(this);
    this.during(() => shown.disconnect());
    const turned = new AbortController();
    for (const type of ["pointerover", "focusin", "dragover"]) this.root.addEventListener(type, () => void this.need(), turned);
    this.during(() => turned.abort());
    this.onDocument("visibilitychange", () => {
      seen();
      this.#look();
    });
    line.subscribe({ own_conversations: null });
    await this.#refresh();
  }

  /** Once for all that has come until then. */
  #refreshSoon(): void {
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      void this.#refresh();
    }, SOON_MS);
  }

  /** What may have changed while there was no connection, and what frames do not tell. */
  async #refresh(): Promise<void> {
    const line = this.line;
    if (!line) return;
    try {
      this.#me ||= await line.me();
      await (this.#isAlone ? this.#refreshOne() : this.#refreshList(line));
      if (!this.#isReady) this.#problem = null;
      this.#isReady = true;
      if (this.#open && !this.#open.isLoaded && !this.#open.isLoading) void this.#load(this.#open);
    } catch (error) {
      const { status } = error as CommsError;
      if (!this.#isReady && status >= 400 && status !== 401) this.#failed(error); // of others the connection tells
    }
    this.draw();
  }

  /** As soon as somebody turns to the widget, or there is a file to be shown, or something to be told. */
  async need(): Promise<More | undefined> {
    const { line } = this;
    if (!line || this.more) return this.more;
    const module = await load<typeof import("./more.js")>("more").catch(() => null);
    if (!module || this.more || this.line !== line) return this.more;
    Object.assign(this.english, module.english);
    this.more = module.more({
      root: this.root,
      line,
      calls: this.#calls,
      view: this,
      changed: () => this.draw(),
      failed: (reason, what) => this.#failed(reason, what),
      during: (off) => this.during(off),
      dropped: (files) => this.#open && this.#composer?.add(this.#open.id, files),
      largest: Number(this.getAttribute("max-file-mb")) || LARGEST_MB,
    });
    this.draw();
    return this.more;
  }

  get #isAlone(): boolean {
    return ["conversation", "with", "support"].some((name) => this.hasAttribute(name));
  }

  async #refreshOne(): Promise<void> {
    const { line } = this;
    const open = this.#open;
    if (open) {
      open.renew(await this.#calls.get(open.id));
      return;
    }
    const only = (this.#only ??= this.#findOnly()); // which may make it: once
    try {
      const found = await only;
      if (this.line === line) void this.#enter(found);
    } finally {
      if (this.#only === only) this.#only = null;
    }
  }

  async #findOnly(): Promise<Conversation> {
    const [id, other] = [this.getAttribute("conversation"), this.getAttribute("with")];
    if (id) return this.#calls.get(id);
    if (other) return this.#calls.start("direct", [other]);
    for (const archived of [false, true]) {
      const { results } = await this.#calls.list({ kind: "support", archived, limit: 1 });
      if (results[0]) return results[0];
    }
    return this.#calls.start("support", []);
  }

  async #refreshList(line: LiveClient): Promise<void> {
    const archived = this.#isArchive;
    const isFirst = !this.#list.length;
    const turn = (this.#lists += 1);
    const page = await this.#calls.list({ archived, limit: isFirst ? MOST_FOLLOWED : PAGE });
    if (this.line !== line || this.#isArchive !== archived || turn < this.#latestList) return;
    this.#latestList = turn;
    const known = new Map(this.#list.map((one) => [one.id, one]));
    const now = page.results.map((one) => {
      const here = known.get(one.id);
      return here && here.last_seq > one.last_seq ? here : one; // what came meanwhile is newer
    });
    const fresh = new Set(page.results.map((one) => one.id));
    const last = page.next && page.results.at(-1)?.active_at;
    if (isFirst) this.#next = cursor(page.next);
    const older = this.#list.filter((one) => last && one.active_at <= last && !fresh.has(one.id)); // the others went
    this.#list = [...now, ...older].sort(latestFirst);
    this.#follow(page.results);
    const open = this.#open;
    open?.renew(now.find((one) => one.id === open.id) ?? (await this.#calls.get(open.id)));
  }

  #follow(some: Conversation[]): void {
    const followed = Object.fromEntries(some.slice(0, MOST_FOLLOWED).map((one) => [one.id, one.last_seq]));
    this.line?.subscribe({ conversations: followed });
    for (const one of some) if (one.me?.unread) this.line?.delivered(one.id, one.last_seq);
    const people = [...this.#list, ...some].flatMap((one) => this.#others(one)).filter((one) => one.kind === "user");
    this.#watch([...new Set(people.map((one) => one.id))].slice(0, MOST_WATCHED));
  }

  #watch(users: string[]): void {
    const before = this.#watching;
    this.#watching = users.length ? (this.line?.watchPresence(users) ?? null) : null;
    before?.();
  }

  // --- One conversation --------------------------------------------------------------------------

  /** Show a conversation, or one entry of it. */
  async open(id: string, entry?: string): Promise<void> {
    await this.attempt(async () => {
      const choice = (this.#choice = {});
      const found = this.#list.find((one) => one.id === id) ?? (await this.#calls.get(id));
      if (this.#choice !== choice) return; // somebody went elsewhere meanwhile
      await this.#enter(found);
      if (entry && this.#open?.id === id) this.show(entry);
    });
  }

  async #enter(conversation: Conversation): Promise<void> {
    this.#choice = {};
    if (!this.line || this.#open?.id === conversation.id) return;
    const thread = new Thread(this.line, this.#calls, conversation, this.#me, () => this.draw());
    this.thread = this.#open = thread;
    this.active = null;
    this.#missed = 0;
    this.#isMenuOpen = false;
    this.#problem = null;
    this.#log.forget();
    const loaded = this.#load(thread);
    this.drawNow();
    if (this.#isAlone) this.#follow([conversation]);
    else this.#composer?.focus();
    await loaded;
  }

  async #load(thread: Thread): Promise<void> {
    try {
      await thread.load();
    } catch (error) {
      if (this.#open === thread) this.#failed(error);
      return;
    }
    this.#look();
  }

  #leave(): void {
    this.#choice = {};
    const id = this.#open?.id;
    this.#open = null;
    this.line?.presence("active");
    this.drawNow();
    (this.find(".search input") ?? this.find(`[data-thread="${id}"]`))?.focus();
  }

  // --- What comes --------------------------------------------------------------------------------

  #with(id: string, action: (thread: Thread) => void): void {
    if (this.#open?.id === id) this.#set(() => this.#open && action(this.#open));
  }

  #set(change: () => void): void {
    change();
    this.draw();
  }

  #entry({ conversation, seq, entry }: EntryFrame): void {
    const isMine = this.#isMe(entry.author);
    if (!isMine) this.line?.delivered(conversation, seq);
    this.#with(conversation, (thread) => {
      if (!thread.knows(entry.author)) this.#refreshSoon(); // who of the team answers takes part
      if (!thread.take(entry) || isMine) return;
      if (!this.#log.isAtEnd) this.#missed += 1;
    });
    const found = this.#list.find((one) => one.id === conversation);
    if (found) {
      found.last_seq = seq;
      found.active_at = entry.created_at;
      if (entry.kind === "text") found.latest = entry;
      if (found.me && !isMine && entry.kind === "text") found.me.unread += 1;
      this.#list = [...this.#list].sort(latestFirst);
    } else if (!this.#isAlone && !isMine) this.#refreshSoon(); // it was put away until now
    if (entry.kind === "system" || this.#open?.conversation.me?.archived_at) this.#refreshSoon(); // who is here, and in which list
    if (entry.kind === "system") this.#said = told(this, entry);
    else if (!isMine) this.#said = `${this.name(entry.author)}: ${summary(this, entry)}`;
    this.draw();
  }

  #changed({ conversation, entry }: EntryFrame): void {
    this.#with(conversation, (thread) => thread.take(entry));
    const found = this.#list.find((one) => one.latest?.id === entry.id);
    if (found) this.#set(() => (found.latest = entry));
  }

  #mark(frame: MarkFrame): void {
    this.#with(frame.conversation, (thread) => thread.mark(frame));
    const found = this.#list.find((one) => one.id === frame.conversation);
    const isOwn = frame.type === "read" && this.#isMe(frame.person);
    if (isOwn && found?.me && frame.seq >= found.last_seq) this.#set(() => found.me && (found.me.unread = 0));
  }

  #unsent(thread: Thread): void {
    const before = thread.pending.length;
    thread.takeUnsent();
    if (thread.pending.length > before) this.#toEnd(thread);
  }

  #toEnd(thread: Thread): void {
    if (thread.hasNewer || thread.isLoading) void this.#load(thread);
    this.#log.toEnd();
  }

  /** What is in the list and followed tells of itself. */
  #joined(id: string): void {
    const isThere = !this.#isArchive && this.#list.some((one) => one.id === id);
    if (!isThere || this.line?.position("conversations", id) === undefined) this.#refreshSoon();
  }

  #gone(id: string): void {
    this.#list = this.#list.filter((one) => one.id !== id);
    if (this.#open?.id === id) this.#open = null;
    this.draw();
  }

  // --- What is seen ------------------------------------------------------------------------------

  #look(): void {
    if (!this.#open) return;
    const isHere = document.visibilityState === "visible";
    const isSeen = isHere && this.checkVisibility();
    this.line?.presence(isHere ? "active" : "away", isSeen ? { conversation: this.#open.id } : undefined);
    this.#see();
  }

  /** What is at the end is read when the end is seen. */
  #see(): void {
    const thread = this.#open;
    if (!thread?.isLoaded || !this.#log.isAtEnd || document.visibilityState !== "visible") return;
    if (!this.checkVisibility()) return;
    this.line?.read(thread.id, thread.head);
    const marks = this.#list.find((one) => one.id === thread.id)?.me;
    if (this.#missed || marks?.unread) {
      this.#missed = 0;
      if (marks) marks.unread = 0;
      this.draw();
    }
  }

  /** What was thrown, or what is to be said. */
  #failed(error: unknown, what?: string): void {
    this.#set(() => (this.#problem = { error, what }));
  }

  /** Why something failed, in the words of the reader. */
  reason(error: unknown): string {
    if (typeof error === "string") return error;
    if (!this.more) void this.need(); // which has most of the words
    return this.more?.reason(error as CommsError) ?? this.t(isLost(error) ? "unreachable" : "failed");
  }

  get #told(): string {
    const { error, what } = this.#problem ?? {};
    const reason = this.#problem ? this.reason(error) : "";
    return what ? `${what}: ${reason}` : reason;
  }

  async attempt(action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#failed(error);
    }
  }

  // --- What is done ------------------------------------------------------------------------------

  activate(entry: Entry | null, step: Step = ""): void {
    this.active = entry?.id ?? null;
    this.step = step;
    this.drawNow();
    if (step) this.find(".active .toolbar button")?.focus();
  }

  reply(entry: Entry): void {
    this.activate(null);
    this.#composer?.reply(entry);
  }

  edit(entry: Entry): void {
    this.activate(null);
    this.#composer?.edit(entry);
  }

  /** An entry of the thread, with what is around it. */
  show(id: string): void {
    void this.attempt(async () => {
      const thread = this.thread;
      if (!thread.find(id)) await thread.load(id);
      const found = thread.find(id);
      if (found && this.#open === thread) this.#log.show(thread, found);
    });
  }

  archive(conversation: Conversation): void {
    void this.attempt(async () => {
      const now = await this.#calls.archive(conversation.id, !conversation.me?.archived_at);
      if (this.#isAlone) this.update(now);
      else this.#gone(conversation.id);
    });
  }

  update(now: Conversation): void {
    this.#isMenuOpen = false;
    this.#list = this.#list.map((one) => (one.id === now.id ? now : one));
    this.#with(now.id, (thread) => (thread.conversation = now));
  }

  #turn(isArchive: boolean): void {
    this.#isArchive = isArchive;
    this.#list = [];
    this.#isReady = false;
    void this.#refresh();
    this.draw();
  }

  async #more(): Promise<void> {
    await this.attempt(async () => {
      const page = await this.#calls.list({ archived: this.#isArchive, limit: PAGE, cursor: this.#next });
      const known = new Set(this.#list.map((one) => one.id));
      this.#next = cursor(page.next);
      this.#list = [...this.#list, ...page.results.filter((one) => !known.has(one.id))];
      if (this.#list.length <= MOST_FOLLOWED) this.#follow(page.results);
    });
    this.draw();
  }

  // --- Search ------------------------------------------------------------------------------------

  /** The module is loaded when somebody looks for something. */
  #startSearch(): void {
    void this.attempt(async () => {
      const { search } = await load<typeof import("./search.js")>("search");
      const place = this.find(".finder");
      if (!place) return;
      this.#drawSearch = search(place, {
        view: this,
        calls: this.#calls,
        conversation: this.#isAlone ? this.#open?.id : undefined,
        titleOf: (id) => this.#list.filter((one) => one.id === id).map((one) => this.#title(one)).join(),
        open: (entry) => void this.open(entry.conversation, entry.id),
      });
    });
  }

  now(): number {
    return this.line?.http.now() ?? Date.now();
  }

  // --- Names -------------------------------------------------------------------------------------

  name(person: Somebody): string {
    if (person.kind === "staff") return this.t("team");
    return person.kind === "agent" ? this.t("agent") : this.nameOf(person.id);
  }

  called(person: Somebody): string {
    return this.#isMe(person) ? this.t("you") : this.name(person);
  }

  #isMe({ kind, id }: Somebody): boolean {
    return kind === "user" && id === this.#me;
  }

  #others({ participants }: Conversation): Somebody[] {
    return participants.filter((one) => !this.#isMe(one));
  }

  #title(conversation: Conversation): string {
    if (conversation.title) return conversation.title;
    if (conversation.kind === "support") return this.t("team");
    const names = this.#others(conversation).map((one) => this.name(one));
    return new Intl.ListFormat(this.locale).format(names) || this.t("you");
  }

  /** Of a direct conversation. */
  #partner(conversation: Conversation): Somebody | undefined {
    const others = this.#others(conversation).filter((one) => one.kind === "user");
    return conversation.kind === "direct" ? others[0] : undefined;
  }

  #stateOf(conversation: Conversation): PresenceFrame["state"] | undefined {
    if (this.line?.state !== "live") return undefined;
    return this.#presence.get(this.#partner(conversation)?.id ?? "")?.state;
  }

  get reachable(): string | null {
    return this.active ?? this.thread.chunks.at(-1)?.entries.findLast((one) => one.kind === "text")?.id ?? null;
  }

  // --- How it looks ------------------------------------------------------------------------------

  protected override beforeDrawing(): void {
    this.#log.keep();
  }

  protected override afterDrawing(): void {
    this.#drawSearch?.();
    drawEach(this.find(".threads > ul"), "li", this.#list, (one) => one.id, (one) => this.#row(one));
    if (this.#open) this.#log.restore(this);
  }

  protected template(): TemplateResult {
    const open = this.#open;
    return html`<div class="chat ${this.#isAlone ? "alone" : ""} ${open ? "opened" : ""}" dir=${this.direction} lang=${this.locale}>
      ${this.#isAlone ? nothing : this.#threads()}
      ${open && this.#composer ? this.#conversation(open, this.#composer) : this.#nothingOpen()}
      <p class="unseen" role="status" aria-live="polite">${this.#said}</p>
    </div>`;
  }

  #nothingOpen(): TemplateResult {
    const hint = this.#told || (this.#isReady && !this.#isAlone ? this.t("choose") : this.#loading);
    return html`<section class="thread empty">${this.#isAlone ? this.#banner() : nothing}<p class="hint">${hint}</p></section>`;
  }

  /** Who is signed out waits for nothing. */
  get #loading(): string {
    return this.#isSignedOut ? "" : this.t("loading");
  }

  #threads(): TemplateResult {
    const t = this.t;
    return html`<nav class="threads" aria-label=${t("messages")}>
      <header><h2>${this.#isArchive ? t("archived") : t("messages")}</h2>
        ${tool(paths.search, t("search"), () => this.#startSearch(), { kind: "find" })}
        ${tool(paths.archive, t("archived"), () => this.#turn(!this.#isArchive), { pressed: this.#isArchive })}
      </header>
      <div class="finder"></div>
      ${this.#open ? nothing : this.#banner()}
      ${this.#list.length
        ? html`<ul></ul>`
        : html`<p class="hint">${this.#isReady ? t("noThreads") : this.#loading}</p>`}
      ${this.#next ? html`<button type="button" class="more" @click=${() => void this.#more()}>${t("more")}</button>` : nothing}
    </nav>`;
  }

  #row(one: Conversation): TemplateResult {
    const title = this.#title(one);
    const unread = one.me?.unread ?? 0;
    const latest = one.latest;
    const isOpen = this.#open?.id === one.id;
    return html`<button type="button" class="row ${unread ? "unread" : ""}" data-thread=${one.id} aria-current=${isOpen ? "true" : nothing} @click=${() => void this.#enter(one)}>
      ${avatar(title, this.pictureOf(this.#partner(one)?.id ?? ""), this.#stateOf(one))}
      <span class="words"><b class="cut" dir="auto">${title}</b><span class="cut" dir="auto">${latest ? this.#preview(one, latest) : ""}</span></span>
      <span class="side"><time datetime=${one.active_at}>${this.#short(one.active_at)}</time>
        ${unread ? html`<span class="badge" aria-label=${this.t("unread", { count: unread })}>${unread > 99 ? "99+" : unread}</span>` : nothing}
        ${one.me?.muted_until ? icon(paths.mute) : nothing}</span>
    </button>`;
  }

  #preview({ kind }: Conversation, latest: Entry): string {
    if (latest.kind === "system") return told(this, latest);
    const text = summary(this, latest);
    return kind === "group" || this.#isMe(latest.author) ? `${this.called(latest.author)}: ${text}` : text;
  }

  #short(moment: string): string {
    const isToday = sameDay(moment, new Date(this.now()));
    return this.time(moment, isToday ? { hour: "numeric", minute: "2-digit" } : { day: "numeric", month: "short" });
  }

  #conversation(thread: Thread, composer: Composer): TemplateResult {
    const t = this.t;
    const { conversation } = thread;
    const title = this.#title(conversation);
    const isEmpty = thread.isLoaded && !thread.chunks.length && !thread.pending.length;
    return html`<section class="thread" aria-label=${title}>
      <header>
        ${this.#isAlone ? nothing : tool(paths.back, t("back"), () => this.#leave(), { kind: "back" })}
        ${avatar(title, this.pictureOf(this.#partner(conversation)?.id ?? ""), this.#stateOf(conversation))}
        <div class="words"><h2 class="cut" dir="auto">${title}</h2><p class="cut">${this.#subtitle(conversation)}</p></div>
        ${this.#isAlone ? tool(paths.search, t("search"), () => this.#startSearch(), { kind: "find" }) : nothing}
        ${this.#menu(conversation)}
      </header>
      ${this.#isAlone ? html`<div class="finder"></div>` : nothing}
      ${this.#banner()}
      ${conversation.me?.archived_at
        ? html`<p class="banner" role="status">${t("archived")}<button type="button" @click=${() => this.archive(conversation)}>${t("unarchive")}</button></p>`
        : nothing}
      ${this.#log.render(this, isEmpty ? t("noEntries") : "", thread.pending.map((one) =>
        waiting(this, one, this.line?.state === "live", () => this.line?.retry(one.clientId), () => this.line?.discard(one.clientId))))}
      <p class="typing" role="status">${this.#typing(thread)}</p>
      ${this.#log.isAtEnd ? nothing : tool(paths.down, t("toEnd"), () => this.#toEnd(thread), { kind: "end", badge: this.#missed })}
      ${this.#problem ? html`<p class="toast" role="alert"><span>${this.#told}</span>${tool(paths.close, t("discard"), () => this.#set(() => (this.#problem = null)))}</p>` : nothing}
      ${composer.render(thread.id)}
    </section>`;
  }

  #banner(): TemplateResult | typeof nothing {
    if (this.#isSignedOut) return html`<p class="banner" role="status">${this.t("signedOut")}</p>`;
    const state = this.line?.state;
    if (state === "live" || !state) return html`<p class="banner none" role="status"></p>`;
    const why = this.line?.trouble?.code; // which stays while it is tried again
    const word = why === "unreachable" || (why && !this.has(why)) ? "offline" : why;
    return html`<p class="banner ${word ? "offline" : ""}" role="status">${this.t((word as Word | undefined) ?? state)}</p>`;
  }

  #subtitle(conversation: Conversation): string {
    if (conversation.kind === "group") return this.t("people", { count: conversation.participants.length });
    const presence = this.#presence.get(this.#partner(conversation)?.id ?? "");
    if (this.line?.state !== "live" || !presence) return "";
    if (presence.state === "active") return this.t("online");
    if (presence.state === "away") return this.t("away");
    return presence.last_seen ? this.t("lastSeen", { time: this.time(presence.last_seen, { dateStyle: "medium", timeStyle: "short" }) }) : "";
  }

  #typing(thread: Thread): TemplateResult | typeof nothing {
    const [first, second] = [...thread.typing.values()];
    if (!first) return nothing;
    const text = second ? this.t("typingMany") : this.t("typing", { name: this.name(first.person) });
    return html`<span class="dots" aria-hidden="true"><i></i><i></i><i></i></span><span dir="auto">${text}</span>`;
  }

  #menu(conversation: Conversation): TemplateResult {
    const t = this.t;
    const close = () => this.#set(() => (this.#isMenuOpen = false));
    const left = (event: FocusEvent) => {
      if (!(event.currentTarget as Element).contains(event.relatedTarget as Node | null)) close();
    };
    const key = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !this.#isMenuOpen) return;
      event.stopPropagation();
      close();
      (event.currentTarget as Element).querySelector<HTMLElement>("button")?.focus();
    };
    return html`<div class="menu" @focusout=${left} @keydown=${key}>
      ${tool(paths.more, t("options"), () => this.#set(() => (this.#isMenuOpen = !this.#isMenuOpen)), { expanded: this.#isMenuOpen })}
      ${this.#isMenuOpen ? this.more?.choices(conversation) : nothing}
    </div>`;
  }
}

/** A module that lies beside this one. */
function load<Module>(name: string): Promise<Module> {
  return import(new URL(`comms-${name}.js`, import.meta.url).href) as Promise<Module>;
}

function isLost(error: unknown): boolean {
  return (error as CommsError | undefined)?.status === 0;
}

function latestFirst(one: Conversation, other: Conversation): number {
  return other.active_at.localeCompare(one.active_at);
}

customElements.define("comms-chat", CommsChat);
