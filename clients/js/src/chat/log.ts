/**
 * What was written, to scroll through. Chunks that are far from what is seen are as high as they were,
 * and empty; so ten thousand entries cost no more than two hundred.
 */

import { html, nothing, type TemplateResult } from "lit-html";
import { boxes, drawEach } from "../widgets/each.js";
import type { Entry } from "../wire.js";
import { message, sameDay, type View } from "./message.js";
import type { Chunk, Thread } from "./thread.js";

const FAR = "1500px 0px";
const NEAR_PX = 1200;
const AT_END_PX = 60;

/** Of what is seen: where it was before something was drawn. */
interface Anchor {
  element: Element;
  top: number;
}

export class Log {
  readonly #heights = new Map<string, number>();
  #observer: IntersectionObserver | null = null;
  #anchor: Anchor | null = null;
  #isAtEnd = true;
  #hasNewer = false;

  constructor(
    private readonly root: ParentNode,
    /** Something is to be drawn. */
    private readonly changed: () => void,
    /** Somebody has scrolled, or something has been drawn. */
    private readonly moved: () => void,
  ) {}

  get #scroller(): HTMLElement | null {
    return this.root.querySelector<HTMLElement>(".scroller");
  }

  get #chunks(): Element | null {
    return this.root.querySelector(".chunks");
  }

  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  toEnd(): void {
    this.#hasNewer = false;
    this.#isAtEnd = true;
    this.#stick();
  }

  /** Another thread: nothing is known of it. */
  forget(): void {
    this.#heights.clear();
    this.#anchor = null;
    this.#isAtEnd = true;
  }

  render(view: View, hint: string, rest: TemplateResult[]): TemplateResult {
    return html`<div class="scroller" @scroll=${this.#scrolled}>
      ${view.thread.hasOlder || hint ? html`<p class="hint">${hint || view.t("loading")}</p>` : nothing}
      <div role="list" class="log" @keydown=${(event: KeyboardEvent) => view.more?.walk(event)} @focusin=${(event: Event) => this.#reach(view, event)}><div class="chunks"></div>${rest}</div>
    </div>`;
  }

  #name(thread: Thread, chunk: Chunk): string {
    return `${thread.id}/${chunk.id}`;
  }

  #fill(view: View): void {
    const { thread } = view;
    let previous: Entry | undefined;
    drawEach(this.#chunks, "div", thread.chunks, (one) => this.#name(thread, one), (chunk) => {
      const before = previous;
      previous = chunk.entries.at(-1);
      if (this.#heights.has(this.#name(thread, chunk))) return nothing;
      return chunk.entries.map((entry, at) => {
        const last = at ? chunk.entries[at - 1] : before;
        return html`${this.#between(view, entry, last)}${message(view, entry, last)}`;
      });
    });
  }

  /** A day begins; here begins what is new. */
  #between(view: View, entry: Entry, previous: Entry | undefined): (TemplateResult | typeof nothing)[] {
    const { thread, t } = view;
    const isDay = !previous || !sameDay(previous.created_at, entry.created_at);
    const isFresh =
      thread.readUntil > 0 &&
      entry.seq > thread.readUntil &&
      (previous?.seq ?? 0) <= thread.readUntil &&
      (previous !== undefined || !thread.hasOlder) &&
      !thread.isMine(entry);
    return [
      isDay ? html`<div role="listitem" class="day"><span>${this.#day(view, entry.created_at)}</span></div>` : nothing,
      isFresh ? html`<div role="listitem" class="day fresh"><span>${t("fresh")}</span></div>` : nothing,
    ];
  }

  #day(view: View, moment: string): string {
    const day = new Date(view.now());
    if (sameDay(moment, day)) return view.t("today");
    day.setDate(day.getDate() - 1);
    if (sameDay(moment, day)) return view.t("yesterday");
    return view.time(moment, { dateStyle: "long" });
  }

  // --- Scrolling ---------------------------------------------------------------------------------

  /** Before something is drawn. */
  keep(): void {
    const scroller = this.#scroller;
    this.#anchor = scroller && !this.#isAtEnd ? anchorOf(scroller) : null;
  }

  /** After it. */
  restore(view: View): void {
    const scroller = this.#scroller;
    this.#hasNewer = view.thread.hasNewer;
    this.#isAtEnd &&= !this.#hasNewer;
    this.#fill(view);
    this.#watch(scroller);
    if (!scroller) return;
    if (this.#isAtEnd) this.#stick();
    else if (this.#anchor?.element.isConnected) {
      const moved = this.#anchor.element.getBoundingClientRect().top - this.#anchor.top;
      if (moved) scroller.scrollTop += moved;
    }
    this.#more(scroller, view.thread);
    this.moved();
  }

  /** Scroll an entry into view that is loaded. False where it is not. */
  show(thread: Thread, entry: Entry): void {
    const chunk = thread.chunks.find((one) => one.entries.some((other) => other.id === entry.id));
    if (!chunk) return;
    this.#isAtEnd = false;
    this.#heights.delete(this.#name(thread, chunk));
    this.changed();
    // As soon as it is drawn: the next frame may tell of a scroll to the end that was before.
    queueMicrotask(() => {
      const found = this.root.querySelector<HTMLElement>(`#e${entry.seq}`);
      found?.scrollIntoView({ block: "center" });
      found?.focus({ preventScroll: true });
    });
  }

  #stick(): void {
    const scroller = this.#scroller;
    if (scroller) scroller.scrollTop = scroller.scrollHeight;
  }

  readonly #scrolled = (event: Event): void => {
    const scroller = event.currentTarget as HTMLElement;
    const wasAtEnd = this.#isAtEnd;
    this.#isAtEnd = !this.#hasNewer && below(scroller) < AT_END_PX;
    if (wasAtEnd !== this.#isAtEnd || this.#hasNewer || scroller.scrollTop < NEAR_PX) this.changed();
    this.moved();
  };

  #more(scroller: HTMLElement, thread: Thread): void {
    if (!thread.isLoaded) return;
    if (scroller.scrollTop < NEAR_PX) thread.older().catch(() => undefined);
    if (below(scroller) < NEAR_PX) thread.newer().catch(() => undefined);
  }

  #watch(scroller: HTMLElement | null): void {
    if (!scroller) {
      this.#observer?.disconnect();
      this.#observer = null;
      return;
    }
    if (this.#observer?.root !== scroller) {
      this.#observer?.disconnect();
      this.#observer = new IntersectionObserver((seen) => this.#seen(seen), { root: scroller, rootMargin: FAR });
    }
    for (const chunk of boxes(this.#chunks)) {
      const height = this.#heights.get(chunk.dataset["key"] ?? "");
      chunk.style.height = height === undefined ? "" : `${height}px`;
      this.#observer.observe(chunk);
    }
  }

  #seen(seen: IntersectionObserverEntry[]): void {
    let isChanged = false;
    for (const { target, isIntersecting, boundingClientRect } of seen) {
      const name = (target as HTMLElement).dataset["key"] ?? "";
      if (isIntersecting === !this.#heights.has(name)) continue;
      if (isIntersecting) this.#heights.delete(name);
      else if (target.contains(rootOf(target).activeElement)) continue;
      else this.#heights.set(name, boundingClientRect.height);
      isChanged = true;
    }
    if (isChanged) this.changed();
  }

  // --- By keyboard -------------------------------------------------------------------------------

  /** Whatever has the focus is the one that Tab comes back to, and has its actions. */
  #reach(view: View, event: Event): void {
    const id = (event.target as Element).closest<HTMLElement>(".entry")?.dataset["id"];
    const entry = id === undefined ? undefined : view.thread.find(id);
    if (entry && view.active !== entry.id) view.activate(entry);
  }
}

/** How far it is to the end, in pixels. */
function below({ scrollHeight, scrollTop, clientHeight }: Element): number {
  return scrollHeight - scrollTop - clientHeight;
}

function rootOf(element: Element): Document | ShadowRoot {
  return element.getRootNode() as Document | ShadowRoot;
}

/** The first entry that can be seen. */
function anchorOf(scroller: HTMLElement): Anchor | null {
  const edge = scroller.getBoundingClientRect().top;
  for (const chunk of boxes(scroller.querySelector(".chunks"))) {
    if (chunk.getBoundingClientRect().bottom <= edge) continue;
    for (const element of [...chunk.children, chunk]) {
      const { top, bottom } = element.getBoundingClientRect();
      if (bottom > edge) return { element, top };
    }
  }
  return null;
}
