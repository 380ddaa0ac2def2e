/** Where one writes: text, files, what is answered or edited. */

import { html, nothing, type TemplateResult } from "lit-html";
import { keep, kept } from "../drafts.js";
import { newId, type LiveClient } from "../live.js";
import type { Conversations } from "../rest.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Entry } from "../wire.js";
import type { Files, Tray, Upload } from "./files.js";
import { summary, type Translate } from "./message.js";

/** What is kept of a draft; files are not. */
interface Kept {
  text: string;
  replyTo?: Entry | undefined;
}

interface Draft extends Kept, Tray {}

/** What was written is as it was afterwards. */
interface Edit {
  entry: Entry;
  text: string;
}

export interface Desk {
  line: LiveClient;
  calls: Conversations;
  me(): string;
  /** Once their module is loaded. */
  files(): Files | undefined;
  /** Load it. */
  need(): Promise<Files | undefined>;
  /** Until the widget leaves the page. */
  during(off: () => void): void;
  find<Found extends HTMLElement>(selector: string): Found | null;
  t: Translate;
  authorOf(entry: Entry): string;
  lastOwn(): Entry | undefined;
  /** Something is to be drawn. */
  changed(): void;
  /** The person is to be told why something failed. */
  failed(error: unknown, what?: string): void;
}

const MOST_LETTERS = 10_000;
const ROWS_PX = 160;

export class Composer {
  #drafts = new Map<string, Draft>();
  #edits = new Map<string, Edit>();

  constructor(private readonly desk: Desk) {
    const heard = new AbortController();
    addEventListener("storage", (event) => this.#sentElsewhere(event), heard);
    desk.during(() => heard.abort());
  }

  render(conversation: string): TemplateResult {
    const { t } = this.desk;
    const draft = this.#draft(conversation);
    const edit = this.#edits.get(conversation);
    const about = edit?.entry ?? draft.replyTo;
    const label = t(edit ? "save" : "send");
    return html`<form class="composer" @submit=${(event: Event) => this.#submit(event, conversation)}>
      ${about
        ? html`<div class="about">
            <span class="bar"><b dir="auto">${edit ? t("editing") : t("replyTo", { name: this.desk.authorOf(about) })}</b><span dir="auto">${summary(this.desk, about)}</span></span>
            ${tool(paths.close, t("cancel"), () => this.#leave(conversation))}
          </div>`
        : nothing}
      ${draft.uploads.length ? this.desk.files()?.tray(draft, () => this.#return()) : nothing}
      <div class="row">
        ${edit ? nothing : this.#picker(conversation)}
        <textarea rows="1" dir="auto" maxlength=${MOST_LETTERS} aria-label=${t("write")} placeholder=${t("write")} .value=${(edit ?? draft).text}
          @input=${(event: InputEvent) => this.#typed(event, conversation)}
          @keydown=${(event: KeyboardEvent) => this.#key(event, conversation)}
          @paste=${(event: ClipboardEvent) => this.desk.files()?.pasted(event, (files) => this.add(conversation, files))}></textarea>
        <button class="icon main" aria-label=${label} title=${label} aria-disabled=${!(edit ? edit.text.trim() : isReady(draft))}>${icon(edit ? paths.check : paths.send)}</button>
      </div>
    </form>`;
  }

  /** The button to choose files by. */
  #picker(conversation: string): TemplateResult {
    const picked = ({ target }: Event) => {
      const input = target as HTMLInputElement;
      this.add(conversation, [...(input.files ?? [])]);
      input.value = "";
    };
    return html`${tool(paths.attach, this.desk.t("attach"), () => this.desk.find("input[type=file]")?.click())}
      <input type="file" multiple hidden tabindex="-1" @change=${picked}>`;
  }

  get #box(): HTMLTextAreaElement | null {
    return this.desk.find("textarea");
  }

  focus(): void {
    this.#box?.focus();
    this.#grow();
  }

  reply(entry: Entry): void {
    this.#edits.delete(entry.conversation);
    this.#draft(entry.conversation).replyTo = entry;
    this.#keep(entry.conversation);
    this.#return();
  }

  edit(entry: Entry, text = entry.body): void {
    this.#edits.set(entry.conversation, { entry, text });
    this.#return();
  }

  /** Upload files to go with the next message. */
  add(conversation: string, files: Iterable<File>): void {
    const all = [...files]; // a clipboard is empty a moment later
    const draft = this.#draft(conversation);
    const waits = { part: 0 } as Upload; // and the message with it
    draft.uploads.push(waits);
    void this.desk.need().then((more) => {
      draft.uploads = draft.uploads.filter((one) => one !== waits);
      if (more) more.add(conversation, draft, all);
      else this.desk.failed({ status: 0 });
      this.#return();
    });
  }

  #draft(conversation: string): Draft {
    let found = this.#drafts.get(conversation);
    if (!found) {
      found = { text: "", uploads: [], ...kept<Kept>(this.desk.line.storage, this.#place(conversation)) };
      this.#drafts.set(conversation, found);
    }
    return found;
  }

  /** For the next start of the page. */
  #keep(conversation: string): void {
    const { text, replyTo } = this.#draft(conversation);
    keep(this.desk.line.storage, this.#place(conversation), text || replyTo ? { text, replyTo } : null);
  }

  /** Another tab has sent what is begun here, too. */
  #sentElsewhere({ key, oldValue, newValue }: StorageEvent): void {
    for (const [conversation, draft] of this.#drafts) {
      if (newValue !== null || key !== this.#place(conversation) || asKept(draft) !== oldValue) continue;
      draft.text = "";
      delete draft.replyTo;
      this.desk.changed();
    }
  }

  /** A person's own: what one wrote is not another's, who uses the same browser. */
  #place(conversation: string): string {
    return `comms-draft:${this.desk.line.http.base}:${this.desk.me()}:${conversation}`;
  }

  /** Back to the box, which grows with its text: now, for a moment later the person may be elsewhere. */
  #return(): void {
    this.desk.changed();
    queueMicrotask(() => this.focus());
  }

  #leave(conversation: string): void {
    if (!this.#edits.delete(conversation)) delete this.#draft(conversation).replyTo;
    this.#keep(conversation);
    this.#return();
  }

  #grow(): void {
    const box = this.#box;
    if (!box) return;
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, ROWS_PX)}px`;
  }

  // --- Events ------------------------------------------------------------------------------------

  #typed(event: InputEvent, conversation: string): void {
    const edit = this.#edits.get(conversation);
    const { value } = event.target as HTMLTextAreaElement;
    (edit ?? this.#draft(conversation)).text = value;
    if (!edit) this.#keep(conversation);
    this.#grow();
    this.desk.changed();
    if (value && !edit) this.desk.line.typing(conversation);
  }

  #key(event: KeyboardEvent, conversation: string): void {
    const draft = this.#draft(conversation);
    const isEditing = this.#edits.has(conversation);
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      this.#submit(event, conversation);
    } else if (event.key === "Escape" && (isEditing || draft.replyTo)) {
      event.stopPropagation();
      this.#leave(conversation);
    } else if (event.key === "ArrowUp" && !draft.text && !isEditing) {
      const last = this.desk.lastOwn();
      if (!last) return;
      event.preventDefault();
      this.edit(last);
    }
  }

  #submit(event: Event, conversation: string): void {
    event.preventDefault();
    const edit = this.#edits.get(conversation);
    if (edit) void this.#save(edit);
    else this.#write(conversation);
    this.#return();
  }

  #write(conversation: string): void {
    const draft = this.#draft(conversation);
    if (!isReady(draft)) return;
    const files = draft.uploads.flatMap((one) => one.done?.id ?? []);
    void this.desk.line.send(conversation, draft.text.trim(), {
      clientId: newId(),
      ...(draft.replyTo && { replyTo: draft.replyTo.id }),
      ...(files.length && { attachments: files }),
    });
    this.#drafts.set(conversation, { text: "", uploads: [] });
    this.#keep(conversation);
  }

  async #save({ entry, text: written }: Edit): Promise<void> {
    const text = written.trim();
    if (!text) return;
    this.#edits.delete(entry.conversation);
    if (text === entry.body) return;
    try {
      await this.desk.calls.edit(entry.conversation, entry.id, text);
    } catch (error) {
      this.edit(entry, text);
      this.desk.failed(error);
    }
  }
}

function asKept({ text, replyTo }: Kept): string {
  return JSON.stringify({ text, replyTo });
}

function isReady({ text, uploads }: Draft): boolean {
  return uploads.every((one) => one.done) && Boolean(text.trim() || uploads.length);
}
