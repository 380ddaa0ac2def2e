/** Looking for words in what was written. A module of its own, loaded when somebody begins to. */

import { html, nothing, render, type TemplateResult } from "lit-html";
import { cursor, type Conversations } from "../rest.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import { nodes } from "../widgets/safe.js";
import type { Entry, Found } from "../wire.js";
import type { View } from "./message.js";
import styles from "./search.css";

const PAUSE_MS = 250;

/** What is needed of the widget. */
export interface Desk {
  view: Pick<View, "t" | "time" | "called" | "reason">;
  calls: Conversations;
  /** The only one that is looked through, if there is one. */
  conversation: string | undefined;
  /** What a conversation is called; empty where that is not known. */
  titleOf(conversation: string): string;
  open(entry: Entry): void;
}

const sheet = new CSSStyleSheet();
sheet.replaceSync(styles);

/** Begin in `place`, which is empty, and again afterwards. Answers what draws it anew while it lasts. */
export function search(place: HTMLElement, desk: Desk): () => void {
  const { adoptedStyleSheets } = place.getRootNode() as ShadowRoot;
  if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
  const one = new Search(place, desk);
  one.begin();
  return () => one.draw();
}

class Search {
  #text = "";
  #found: Found[] = [];
  #next: string | undefined;
  #hint = "";
  #turn = 0;
  #due: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(
    private readonly place: HTMLElement,
    private readonly desk: Desk,
  ) {}

  begin(): void {
    this.draw();
    this.place.querySelector("input")?.focus();
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#due);
    render(nothing, this.place);
    this.place.parentElement?.querySelector<HTMLElement>(".find")?.focus();
  }

  draw(): void {
    if (this.#isOver) return;
    const { t } = this.desk.view;
    const key = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#end();
    };
    render(
      html`<div role="search" class="search" @keydown=${key}>
        <header>${icon(paths.search)}<input type="search" dir="auto" maxlength="200" aria-label=${t("search")} placeholder=${t("search")} @input=${this.#typed}>
          ${tool(paths.close, t("cancel"), () => this.#end())}</header>
        <p class="hint" role="status">${this.#hint}</p>
        <ul>${this.#found.map((one) => html`<li>${this.#row(one)}</li>`)}</ul>
        ${this.#next ? html`<button type="button" class="more" @click=${() => void this.#look(this.#next)}>${t("more")}</button>` : nothing}
      </div>`,
      this.place,
    );
  }

  #row({ entry, snippet }: Found): TemplateResult {
    const { view, conversation } = this.desk;
    const author = view.called(entry.author);
    const title = conversation ? "" : this.desk.titleOf(entry.conversation);
    const open = () => {
      if (conversation) this.#end(); // it lies under this
      this.desk.open(entry);
    };
    return html`<button type="button" class="row" @click=${open}>
      <b class="cut" dir="auto">${title && title !== author ? `${author} · ${title}` : author}</b>
      <time datetime=${entry.created_at}>${view.time(entry.created_at, { dateStyle: "medium" })}</time>
      <span class="snippet" dir="auto">${nodes(snippet)}</span>
    </button>`;
  }

  readonly #typed = (event: Event): void => {
    this.#text = (event.target as HTMLInputElement).value.trim();
    clearTimeout(this.#due);
    this.#due = setTimeout(() => void this.#look(), PAUSE_MS);
  };

  /** The first of what there is, or more of it. What is asked for last is shown. */
  async #look(from?: string): Promise<void> {
    const turn = (this.#turn += 1);
    const { calls, view, conversation } = this.desk;
    const before = from ? this.#found : [];
    try {
      const query = { ...(conversation && { conversation }), ...(from && { cursor: from }), limit: 30 };
      const page = this.#text ? await calls.search(this.#text, query) : { results: [], next: null };
      if (turn !== this.#turn) return;
      this.#found = [...before, ...page.results];
      this.#next = cursor(page.next);
      this.#hint = this.#text && !this.#found.length ? view.t("nothing") : "";
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#hint = view.reason(error);
    }
    this.draw();
  }
}
