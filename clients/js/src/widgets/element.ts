/** What both widgets have: a place to draw, a client, a language, a direction. Templates are Lit's. */

import { render, type TemplateResult } from "lit-html";
import type { Handler } from "../events.js";
import { CommsError } from "../http.js";
import { LiveClient, newId, type EventMap } from "../live.js";
import base from "./base.css";

export interface Person {
  name: string;
  /** The address of a picture. */
  picture?: string;
}

export type People = (ids: string[]) => Record<string, Person> | Promise<Record<string, Person>>;
/** One text, or one for each form of the plural that the language has. */
export type Words = Record<string, string | Record<string, string>>;

/** Beside English, which is in the module; each in a file of its own beside it. */
export const LANGUAGES = ["ar", "de", "es", "fr", "pt-BR"];

/** Properties that make a widget begin anew, and those that it only shows. */
const SOURCES = ["url", "tokenUrl", "token", "client"];

/** What a token may consist of (RFC 6750). The page of a sign-in is none. */
const TOKEN = /^[\w.~+/-]+=*$/;

interface Shared {
  line: LiveClient;
  users: number;
}

/** Of all widgets of the page, each of which has classes of its own: one client for each sign-in. */
const clients = ((globalThis as Record<symbol, unknown>)[Symbol.for("comms-clients")] ??= new Map()) as Map<string, Shared>;

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
  /** Of what is needed at once; more may be learnt. */
  protected abstract readonly english: Words;
  /** While the element is in a page. */
  protected line: LiveClient | null = null;
  protected readonly root = this.attachShadow({ mode: "open" });
  locale = "en";
  #offs: (() => void)[] = [];
  #people = new Map<string, Person>();
  #wanted = new Set<string>();
  #words: Words | null = null;
  #asked = "";
  #leave = () => {};
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
    const line = (this.line = this.client ?? this.#join(this.getAttribute("url") ?? "", tokenUrl ?? ""));
    this.during(line.on("state", () => this.draw()));
    void this.begin(line);
    if (line === this.client) return;
    line.connect();
    this.onDocument("visibilitychange", () => {
      if (document.visibilityState === "visible") line.connect(); // signed in again, perhaps
    });
  }

  /** With the other widgets that have the same sign-in. */
  #join(url: string, tokenUrl: string): LiveClient {
    const { token } = this;
    const name = token ? newId() : `${url} ${tokenUrl}`;
    const make = () => new LiveClient({ url, token: token ?? (() => fetchToken(tokenUrl)) });
    const shared = clients.get(name) ?? { line: make(), users: 0 };
    clients.set(name, shared);
    shared.users += 1;
    this.#leave = () => {
      if ((shared.users -= 1)) return;
      clients.delete(name);
      shared.line.close();
    };
    return shared.line;
  }

  #stop(): void {
    this.#offs.splice(0).forEach((off) => off());
    this.#leave();
    this.#leave = () => {};
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

  /** The text in the reader's language; `{name}` is replaced, and the plural goes by `count`. */
  readonly t = (word: Word, values: Record<string, string | number> = {}): string => {
    const found = this.#words?.[word] ?? this.english[word] ?? "";
    const form = () => new Intl.PluralRules(this.locale).select(Number(values["count"]));
    const text = typeof found === "string" ? found : (found[form()] ?? found["other"] ?? "");
    return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
  };

  /** Whether there is a text of this name: of codes of errors, some have one. */
  has(code: string | undefined): code is Word {
    return Boolean(code && (code in this.english || (this.#words && code in this.#words)));
  }

  get direction(): string {
    return this.getAttribute("dir") ?? (this.locale.startsWith("ar") ? "rtl" : "ltr");
  }

  /** In the language of the element, of the page, or of the browser. */
  async #speak(): Promise<void> {
    const asked = (this.lang || this.closest("[lang]")?.getAttribute("lang") || navigator.language).replace(/_/g, "-");
    this.#asked = asked;
    const found = LANGUAGES.find((one) => short(one) === short(asked));
    let words: Words = this.english;
    try {
      const module = found && ((await import(new URL(`words/${found}.js`, import.meta.url).href)) as Record<string, Words>);
      if (module) words = module[this.catalogue] ?? words;
    } catch {
      // English, then
    }
    if (this.#asked !== asked) return; // another was asked for since
    this.#words = words;
    this.locale = localeOf(words === this.english && short(asked) !== "en" ? "en" : asked);
    this.draw();
  }

  time(moment: string | number, options: Intl.DateTimeFormatOptions): string {
    return new Intl.DateTimeFormat(this.locale, options).format(new Date(moment));
  }

  // --- People ------------------------------------------------------------------------------------

  /** The name of a user, or the id as long as the page has told none. */
  protected nameOf(id: string): string {
    if (this.people && !this.#people.has(id) && !this.#wanted.has(id)) {
      if (!this.#wanted.size) queueMicrotask(() => void this.#fetchPeople());
      this.#wanted.add(id);
    }
    return this.#people.get(id)?.name || id;
  }

  protected pictureOf(id: string): string | undefined {
    return this.#people.get(id)?.picture;
  }

  async #fetchPeople(): Promise<void> {
    const ids = [...this.#wanted];
    const found = await (async () => this.people?.(ids))().catch(() => null);
    for (const id of ids) this.#people.set(id, found?.[id] ?? { name: id });
    this.#wanted.clear();
    this.draw();
  }
}

/** With the country that is told; else as the browser's user writes times and numbers in that language. */
function localeOf(language: string): string {
  const usual = navigator.languages.find((one) => short(one) === short(language)) ?? short(language);
  try {
    return language.includes("-") ? (Intl.getCanonicalLocales(language)[0] ?? usual) : usual;
  } catch {
    return usual; // no language tag
  }
}

function short(tag: string): string {
  return tag.toLowerCase().replace(/-.*/, "");
}

async function fetchToken(url: string): Promise<string> {
  const answer = await fetch(url, { credentials: "same-origin", cache: "no-store" });
  const token = (await answer.text()).trim();
  const { ok, status } = answer;
  if (ok && TOKEN.test(token)) return token;
  if (status === 401 || status === 403) throw new CommsError(401, "unauthenticated", "Nobody is signed in.");
  throw new CommsError(0, status < 500 ? "no_token" : "unreachable", "The page gives no token.");
}
