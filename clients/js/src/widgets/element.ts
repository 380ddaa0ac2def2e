/** What both widgets have: a place to draw, a client, a language, a direction. Templates are Lit's. */

import { render, type TemplateResult } from "lit-html";
import type { Handler } from "../events.js";
import { CommsError } from "../http.js";
import { LiveClient, type EventMap } from "../live.js";
import base from "./base.css";

export interface Person {
  name: string;
  /** The address of a picture. */
  picture?: string;
}

export type People = (ids: string[]) => Record<string, Person> | Promise<Record<string, Person>>;
type Words = Record<string, string>;

/** Beside English, which is in the module; each in a file of its own beside it. */
export const LANGUAGES = ["ar", "de", "es", "fr", "pt-BR"];

/** Properties that make a widget begin anew, and those that it only shows. */
const SOURCES = ["url", "tokenUrl", "token", "client"];

export abstract class CommsElement<Word extends string> extends HTMLElement {
  static observedAttributes = ["url", "token-url", "lang", "dir"];

  /** Instead of the attribute `token-url`: gives the user's token. */
  declare token: (() => string | Promise<string>) | undefined;
  /** Instead: a client that the page has, for several widgets. It is the page's to connect and close. */
  declare client: LiveClient | undefined;
  /** Gives what the page knows of these user ids; the service knows nobody's name. */
  declare people: People | undefined;

  /** The name of the widget's catalogue. */
  protected abstract readonly catalogue: string;
  protected abstract readonly english: Record<Word, string>;
  /** While the element is in a page. */
  protected line: LiveClient | null = null;
  protected readonly root = this.attachShadow({ mode: "open" });
  locale = "en";
  #offs: (() => void)[] = [];
  #people = new Map<string, Person>();
  #asked = new Set<string>();
  #words: Words | null = null;
  #isDue = false;

  constructor(styles: string) {
    super();
    for (const text of [base, styles]) {
      const sheet = new CSSStyleSheet(); // which a strict content security policy allows
      sheet.replaceSync(text);
      this.root.adoptedStyleSheets.push(sheet);
    }
    for (const name of ["token", "client", "people"]) this.#property(name);
  }

  /** With `line`, which connects right after. */
  protected abstract begin(line: LiveClient): void | Promise<void>;
  protected abstract template(): TemplateResult;

  // --- Life --------------------------------------------------------------------------------------

  connectedCallback(): void {
    queueMicrotask(() => this.#start()); // what a script sets right after it made the element is there by then
    void this.#speak();
  }

  disconnectedCallback(): void {
    this.#stop();
  }

  attributeChangedCallback(name: string): void {
    if (!this.isConnected) return;
    if (name === "lang") void this.#speak();
    else if (name === "dir") this.draw();
    else this.#again();
  }

  /** A property of the element, which may have been set before the module was there. */
  #property(name: string): void {
    let value = (this as Record<string, unknown>)[name];
    delete (this as Record<string, unknown>)[name];
    Object.defineProperty(this, name, {
      get: () => value,
      set: (now: unknown) => {
        value = now;
        this.#people.clear();
        if (SOURCES.includes(name)) this.#again();
        else this.draw();
      },
    });
  }

  /** Until the element leaves the page. */
  protected during(off: () => void): void {
    this.#offs.push(off);
  }

  /** Until then. */
  protected hear(line: LiveClient, handlers: { [Type in keyof EventMap]?: Handler<EventMap[Type]> }): void {
    for (const [type, handler] of Object.entries(handlers)) {
      this.during(line.on(type as keyof EventMap, handler as Handler<unknown>));
    }
  }

  /** Until then. */
  protected onDocument(type: string, handler: (event: Event) => void): void {
    document.addEventListener(type, handler);
    this.during(() => document.removeEventListener(type, handler));
  }

  #again(): void {
    this.#stop();
    queueMicrotask(() => this.#start());
  }

  #start(): void {
    const tokenUrl = this.getAttribute("token-url");
    if (this.line || !this.isConnected || !(this.client || this.token || tokenUrl)) return;
    const url = this.getAttribute("url");
    const token = this.token ?? (() => fetchToken(tokenUrl ?? ""));
    const line = (this.line = this.client ?? new LiveClient({ ...(url && { url }), token }));
    this.during(line.on("state", () => this.draw()));
    void this.begin(line);
    if (line === this.client) return;
    line.connect();
    this.onDocument("visibilitychange", () => {
      if (document.visibilityState === "visible") line.connect(); // signed in again, perhaps
    });
  }

  #stop(): void {
    this.#offs.splice(0).forEach((off) => off());
    if (this.line !== this.client) this.line?.close();
    this.line = null;
  }

  /** Soon, once for all that has changed until then. */
  draw(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => this.drawNow());
  }

  drawNow(): void {
    this.#isDue = false;
    if (!this.#words || !this.isConnected) return;
    this.beforeDrawing();
    render(this.template(), this.root, { host: this });
    this.afterDrawing();
  }

  protected beforeDrawing(): void {}
  protected afterDrawing(): void {}

  protected find<Found extends HTMLElement>(selector: string): Found | null {
    return this.root.querySelector<Found>(selector);
  }

  // --- Words -------------------------------------------------------------------------------------

  /** The text in the reader's language; `{name}` is replaced. */
  readonly t = (word: Word, values: Record<string, string | number> = {}): string =>
    (this.#words?.[word] ?? this.english[word]).replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));

  get direction(): string {
    return this.getAttribute("dir") ?? (this.locale.startsWith("ar") ? "rtl" : "ltr");
  }

  /** In the language of the element, of the page, or of the browser. */
  async #speak(): Promise<void> {
    const asked = this.lang || this.closest("[lang]")?.getAttribute("lang") || navigator.language;
    const found = LANGUAGES.find((one) => short(one) === short(asked));
    let words: Words = this.english;
    try {
      const module = found && ((await import(new URL(`words/${found}.js`, import.meta.url).href)) as Record<string, Words>);
      if (module) words = module[this.catalogue] ?? words;
    } catch {
      // English, then
    }
    this.#words = words;
    this.locale = localeOf(words === this.english ? "en" : asked);
    this.draw();
  }

  time(moment: string | number, options: Intl.DateTimeFormatOptions): string {
    return new Intl.DateTimeFormat(this.locale, options).format(new Date(moment));
  }

  // --- People ------------------------------------------------------------------------------------

  /** The name of a user, or the id as long as the page has told none. */
  protected nameOf(id: string): string {
    if (this.people && !this.#people.has(id) && !this.#asked.has(id)) {
      if (!this.#asked.size) queueMicrotask(() => void this.#fetchPeople());
      this.#asked.add(id);
    }
    return this.#people.get(id)?.name || id;
  }

  protected pictureOf(id: string): string | undefined {
    return this.#people.get(id)?.picture;
  }

  async #fetchPeople(): Promise<void> {
    const ids = [...this.#asked];
    const found = await (async () => this.people?.(ids))().catch(() => null);
    for (const id of ids) this.#people.set(id, found?.[id] ?? { name: id });
    this.#asked.clear();
    this.draw();
  }
}

/** As the browser's user writes times and numbers in that language. */
function localeOf(language: string): string {
  return navigator.languages.find((one) => short(one) === short(language)) ?? language;
}

function short(tag: string): string {
  return tag.toLowerCase().replace(/-.*/, "");
}

async function fetchToken(url: string): Promise<string> {
  const answer = await fetch(url, { credentials: "same-origin", cache: "no-store" });
  if (answer.ok) return (await answer.text()).trim();
  throw new CommsError(answer.status === 401 ? 401 : 0, "unauthenticated", "The page's server gives no token.");
}
