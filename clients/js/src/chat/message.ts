/** How one entry looks. */

import { html, nothing, type TemplateResult } from "lit-html";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import { nodes } from "../widgets/safe.js";
import type { Files } from "./files.js";
import type { Unsent } from "../outbox.js";
import type en from "../words/chat.en.json";
import type { Attachment, Entry, Somebody } from "../wire.js";
import type { Thread } from "./thread.js";

export type Word = keyof typeof en;
export type Translate = (word: Word, values?: Record<string, string | number>) => string;

export const EMOJI = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏"];

export type Step = "" | "react" | "delete";

/** What a message needs of the widget that shows it. */
export interface View {
  thread: Thread;
  files: Files;
  t: Translate;
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
  react(entry: Entry, emoji: string): void;
  reply(entry: Entry): void;
  edit(entry: Entry): void;
  erase(entry: Entry): void;
  show(id: string): void;
  /** Why something failed, for the person to read. */
  reason(error: unknown): string;
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
        ${entry.attachments.map((file) => attachment(view, entry, file))}
        <div class="meta">
          ${entry.edited_at && !entry.deleted_at ? html`<span>${t("edited")}</span>` : nothing}
          <time datetime=${entry.created_at}>${view.time(entry.created_at, { hour: "numeric", minute: "2-digit" })}</time>
          ${isMine && !entry.deleted_at ? receipt(view, entry) : nothing}
        </div>
      </div>
      ${entry.deleted_at ? nothing : toolbar(view, entry, isMine, isActive)}
    </div>
    ${entry.reactions.length
      ? html`<div class="reactions">${entry.reactions.map((one) => {
          const names = one.by.map((person) => view.called(person));
          const isOn = one.by.some((person) => thread.isMine({ author: person }));
          const told = `${one.emoji}: ${list(view, names)}`;
          return html`<button type="button" aria-pressed=${isOn} aria-label=${told} title=${told} @click=${() => view.react(entry, one.emoji)}>${one.emoji}<span>${one.by.length}</span></button>`;
        })}</div>`
      : nothing}
  </div>`;
}

export function waiting(view: View, message: Unsent, retry: () => void, discard: () => void): TemplateResult {
  const { t } = view;
  const { error } = message;
  return html`<div role="listitem" class="entry mine first ${error ? "refused" : "waiting"}" aria-label=${`${t("you")}: ${message.body}`}>
    <div class="line"><div class="bubble">
      <p class="text" dir="auto">${message.body || t("file")}</p>
      <div class="meta"><time>${view.time(message.at, { hour: "numeric", minute: "2-digit" })}</time>
        ${error ? nothing : mark(paths.clock, t("waiting"))}</div>
    </div></div>
    ${error
      ? html`<div class="problem" role="alert">${t("notSent", { reason: error.message })}
          <button type="button" @click=${retry}>${t("retry")}</button>
          <button type="button" @click=${discard}>${t("discard")}</button></div>`
      : nothing}
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

export function sameDay(one: string, other: string): boolean {
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
  const { type, people, kind, title } = (entry.event ?? {}) as Record<string, unknown>;
  const ids = Array.isArray(people) ? people.map(String) : [];
  const names = list(view, ids.map((id) => view.name({ kind: kind === "staff" ? "staff" : "user", id })));
  if (type === "joined" || type === "left") return view.t(type, { names });
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

function attachment(view: View, entry: Entry, file: Attachment): TemplateResult {
  const open = () => void view.attempt(() => view.files.open(entry.conversation, file));
  if (!file.has_thumbnail) {
    return html`<button type="button" class="file" @click=${open}>${icon(paths.file)}<span class="cut" dir="auto">${file.name}</span><small>${size(view, file.size)}</small></button>`;
  }
  const link = view.files.thumbnail(entry.conversation, file);
  const again = () => view.files.again(entry.conversation, file);
  return html`<button type="button" class="picture" aria-label=${file.name} @click=${open}>${link
    ? html`<img src=${link} alt="" width=${file.width ?? nothing} height=${file.height ?? nothing} @error=${again}>`
    : icon(paths.file)}</button>`;
}

function size({ locale }: Pick<View, "locale">, bytes: number): string {
  const [unit, by] = bytes < 1e6 ? (["kilobyte", 1e3] as const) : (["megabyte", 1e6] as const);
  return new Intl.NumberFormat(locale, { style: "unit", unit, maximumFractionDigits: 1 }).format(bytes / by);
}

function receipt(view: View, entry: Entry): TemplateResult {
  const how = view.thread.receipt(entry);
  return html`<span class=${how}>${mark(how === "sent" ? paths.check : paths.twice, view.t(how))}</span>`;
}

function mark(path: string, label: string): TemplateResult {
  return html`<span role="img" class="mark" aria-label=${label} title=${label}>${icon(path)}</span>`;
}

function toolbar(view: View, entry: Entry, isMine: boolean, isActive: boolean): TemplateResult {
  const { t } = view;
  const tabindex = isActive ? 0 : -1;
  const button = (path: string, label: string, click: () => void) => tool(path, label, click, { tabindex });
  return html`<div class="toolbar" role="group" aria-label=${t("actions")}>
    ${isActive && view.step === "react"
      ? EMOJI.map((emoji) => html`<button type="button" class="icon" aria-label=${t("reactWith", { emoji })} @click=${() => view.react(entry, emoji)}>${emoji}</button>`)
      : isActive && view.step === "delete"
      ? html`<button type="button" class="sure" @click=${() => view.erase(entry)}>${t("delete")}</button>${button(paths.close, t("cancel"), () => view.activate(entry))}`
      : html`${button(paths.smile, t("react"), () => view.activate(entry, "react"))}
          ${button(paths.reply, t("reply"), () => view.reply(entry))}
          ${isMine ? button(paths.edit, t("edit"), () => view.edit(entry)) : nothing}
          ${isMine ? button(paths.bin, t("delete"), () => view.activate(entry, "delete")) : nothing}`}
  </div>`;
}
