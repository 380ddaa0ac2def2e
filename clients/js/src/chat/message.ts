/** How one entry looks. */

import { html, nothing, type TemplateResult } from "lit-html";
import { icon } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import { nodes } from "../widgets/safe.js";
import type { Unsent } from "../outbox.js";
import type en from "../words/chat.en.json";
import type rare from "../words/more.en.json";
import type { Conversation, Entry, Somebody } from "../wire.js";
import type { More } from "./more.js";
import type { Thread } from "./thread.js";

export type Word = keyof typeof en | keyof typeof rare;
export type Translate = (word: Word, values?: Record<string, string | number>) => string;

export type Step = "" | "react" | "delete";

/** What the widget itself has to say: the name of a text, and what goes into it. */
export interface Trouble {
  code: string;
  values?: Record<string, string | number>;
}

/** What a message needs of the widget that shows it. */
export interface View {
  thread: Thread;
  /** Once its module is loaded. */
  more: More | undefined;
  /** Load it. */
  need(): Promise<More | undefined>;
  t: Translate;
  /** By the clock of the service. */
  now(): number;
  time(moment: string | number, options: Intl.DateTimeFormatOptions): string;
  locale: string;
  name(person: Somebody): string;
  /** The same, but "You" for who reads it. */
  called(person: Somebody): string;
  /** The entry whose actions are shown, and of which action the next step. */
  active: string | null;
  step: Step;
  /** Which one can be reached by the Tab key. */
  reachable: string | null;
  activate(entry: Entry | null, step?: Step): void;
  reply(entry: Entry): void;
  edit(entry: Entry): void;
  archive(conversation: Conversation): void;
  /** It is so now. */
  update(now: Conversation): void;
  show(id: string): void;
  /** Whether there is a text of this name. */
  has(code: string | undefined): boolean;
  /** Why something failed, for the person to read. */
  reason(error: unknown): string;
  /** Soon. */
  draw(): void;
  /** What fails is told to the person. */
  attempt(action: () => Promise<unknown>): Promise<void>;
}

export function message(view: View, entry: Entry, previous: Entry | undefined): TemplateResult {
  if (entry.kind === "system") return system(view, entry);
  const { thread, t } = view;
  const isMine = thread.isMine(entry);
  const isFirst = !follows(entry, previous);
  const isActive = view.active === entry.id;
  const label = `${view.called(entry.author)}: ${summary(view, entry)}`;
  return html`<div role="listitem"
    class="entry ${isMine ? "mine" : "theirs"} ${isFirst ? "first" : ""} ${isActive ? "active" : ""}"
    id=${`e${entry.seq}`} data-id=${entry.id} tabindex=${view.reachable === entry.id ? 0 : -1} aria-label=${label}
  >
    ${isFirst && !isMine && thread.conversation.kind !== "direct" ? html`<div class="author" dir="auto">${view.name(entry.author)}</div>` : nothing}
    <div class="line">
      <div class="bubble">
        ${entry.reply_to ? quote(view, entry) : nothing}
        ${entry.deleted_at
          ? html`<p class="gone">${t("deleted")}</p>`
          : words(entry)}
        ${entry.attachments.length ? files(view, entry) : nothing}
        <div class="meta">
          ${entry.edited_at && !entry.deleted_at ? html`<span>${t("edited")}</span>` : nothing}
          <time datetime=${entry.created_at}>${view.time(entry.created_at, { hour: "numeric", minute: "2-digit" })}</time>
          ${isMine && !entry.deleted_at ? receipt(view, entry) : nothing}
        </div>
      </div>
      ${entry.deleted_at ? nothing : view.more?.toolbar(view, entry, isMine, isActive)}
    </div>
    ${entry.reactions.length
      ? html`<div class="reactions">${entry.reactions.map((one) => {
          const names = one.by.map((person) => view.called(person));
          const isOn = one.by.some((person) => thread.isMine({ author: person }));
          const told = `${one.emoji}: ${list(view, names)}`;
          return html`<button type="button" aria-pressed=${isOn} aria-label=${told} title=${told} @click=${() => view.more?.react(entry, one.emoji)}>${one.emoji}<span>${one.by.length}</span></button>`;
        })}</div>`
      : nothing}
  </div>`;
}

function files(view: View, entry: Entry): TemplateResult[] | typeof nothing {
  if (!view.more) void view.need();
  return view.more?.files.of(entry) ?? nothing;
}

/** What is about to go is not called back; what was refused, or waits for a line, can be. */
export function waiting(view: View, message: Unsent, isLive: boolean, retry: () => void, discard: () => void): TemplateResult {
  const { t } = view;
  const drop = html`<button type="button" @click=${discard}>${t("discard")}</button>`;
  const { error } = message;
  return html`<div role="listitem" class="entry mine first ${error ? "refused" : "waiting"}" aria-label=${`${t("you")}: ${message.body}`}>
    <div class="line"><div class="bubble">
      <p class="text" dir="auto">${message.body || t("file")}</p>
      <div class="meta"><time>${view.time(message.at, { hour: "numeric", minute: "2-digit" })}</time>
        ${error ? nothing : mark(paths.clock, t("waiting"))}</div>
    </div></div>
    ${error
      ? html`<div class="problem" role="alert">${t("notSent", { reason: view.reason(error) })}
          <button type="button" @click=${retry}>${t("retry")}</button>${drop}</div>`
      : isLive ? nothing : html`<div class="problem">${drop}</div>`}
  </div>`;
}

const written = new WeakMap<Entry, HTMLElement>();

/** What was written, made once. */
function words(entry: Entry): HTMLElement {
  let made = written.get(entry);
  if (!made) {
    made = document.createElement("div");
    made.className = "text";
    made.dir = "auto";
    made.append(nodes(entry.html));
    written.set(entry, made);
  }
  return made;
}

/** Written by the same person within five minutes, on the same day. */
function follows(entry: Entry, previous: Entry | undefined): boolean {
  return (
    previous?.kind === "text" &&
    previous.author.kind === entry.author.kind &&
    previous.author.id === entry.author.id &&
    Date.parse(entry.created_at) - Date.parse(previous.created_at) < 300_000 &&
    sameDay(entry.created_at, previous.created_at)
  );
}

export function sameDay(one: string, other: string | Date): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

export function summary(view: Pick<View, "t">, entry: Entry): string {
  if (entry.deleted_at) return view.t("deleted");
  const text = words(entry).textContent?.replace(/\s+/g, " ").trim();
  return text || entry.attachments.map((file) => file.name).join(", ") || view.t("file");
}

function system(view: View, entry: Entry): TemplateResult {
  return html`<div role="listitem" class="system" id=${`e${entry.seq}`}><span dir="auto">${told(view, entry)}</span></div>`;
}

/** What happened, of those events that have words. */
export function told(view: Pick<View, "t" | "name" | "locale">, entry: Entry): string {
  const { type, people, kind, title, status } = (entry.event ?? {}) as Record<string, unknown>;
  const ids = Array.isArray(people) ? people.map(String) : [];
  const names = list(view, ids.map((id) => view.name({ kind: kind === "staff" ? "staff" : "user", id })));
  if (type === "joined" || type === "left") return view.t(type, { names, count: ids.length });
  if (type === "status") return view.t(status === "closed" ? "closed" : "opened");
  return type === "renamed" ? view.t(type, { title: String(title) }) : view.t("changed");
}

function list({ locale }: Pick<View, "locale">, names: string[]): string {
  return new Intl.ListFormat(locale).format(names);
}

function quote(view: View, { reply_to: quoted }: Entry): TemplateResult | typeof nothing {
  if (!quoted) return nothing;
  const text = quoted.deleted ? view.t("deleted") : quoted.excerpt || view.t("file");
  return html`<button type="button" class="quote bar" @click=${() => view.show(quoted.id)}><b dir="auto">${view.name(quoted.author)}</b><span dir="auto">${text}</span></button>`;
}

function receipt(view: View, entry: Entry): TemplateResult {
  const how = view.thread.receipt(entry);
  return html`<span class=${how}>${mark(how === "sent" ? paths.check : paths.twice, view.t(how))}</span>`;
}

function mark(path: string, label: string): TemplateResult {
  return html`<span role="img" class="mark" aria-label=${label} title=${label}>${icon(path)}</span>`;
}
