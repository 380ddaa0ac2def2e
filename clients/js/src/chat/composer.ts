/** Where one writes: text, files, what is answered or edited. */

import { html, nothing, type TemplateResult } from "lit-html";
import { newId, type LiveClient } from "../live.js";
import type { Conversations } from "../rest.js";
import { icon } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Attachment, Entry } from "../wire.js";
import type { Translate } from "./message.js";

/** A file on its way. */
interface Upload {
  name: string;
  /** 0 to 1. */
  part: number;
  stop: AbortController;
  done?: Attachment;
}

interface Draft {
  text: string;
  uploads: Upload[];
  replyTo?: Entry;
  editing?: Entry;
}

export interface Desk {
  line: LiveClient;
  calls: Conversations;
  find<Found extends HTMLElement>(selector: string): Found | null;
  t: Translate;
  authorOf(entry: Entry): string;
  lastOwn(): Entry | undefined;
  /** Something is to be drawn. */
  changed(): void;
  /** Something is to be told to the person. */
  tell(text: string): void;
}

const MOST_LETTERS = 10_000;
const MOST_FILES = 10;
const ROWS_PX = 160;

export class Composer {
  #drafts = new Map<string, Draft>();

  constructor(private readonly desk: Desk) {}

  render(conversation: string): TemplateResult {
    const { t } = this.desk;
    const draft = this.#draft(conversation);
    const about = draft.editing ?? draft.replyTo;
    const isReady = draft.uploads.every((one) => one.done);
    const isEmpty = !draft.text.trim() && !draft.uploads.length;
    return html`<form class="composer" @submit=${(event: Event) => this.#submit(event, conversation)}>
      ${about
        ? html`<div class="about">
            <span class="bar"><b dir="auto">${draft.editing ? t("editing") : t("replyTo", { name: this.desk.authorOf(about) })}</b><span dir="auto">${about.body || about.attachments[0]?.name}</span></span>
            <button type="button" class="icon" aria-label=${t("cancel")} @click=${() => this.#leave(conversation)}>${icon(paths.close)}</button>
          </div>`
        : nothing}
      ${draft.uploads.length
        ? html`<ul class="uploads">${draft.uploads.map((one) => this.#upload(draft, one))}</ul>`
        : nothing}
      <div class="row">
        ${draft.editing
          ? nothing
          : html`<button type="button" class="icon" aria-label=${t("attach")} title=${t("attach")} @click=${() => this.desk.find("input")?.click()}>${icon(paths.attach)}</button>
              <input type="file" multiple hidden tabindex="-1" @change=${(event: Event) => this.#picked(event, conversation)}>`}
        <textarea rows="1" dir="auto" maxlength=${MOST_LETTERS} aria-label=${t("write")} placeholder=${t("write")} .value=${draft.text}
          @input=${(event: InputEvent) => this.#typed(event, conversation)}
          @keydown=${(event: KeyboardEvent) => this.#key(event, conversation)}
          @paste=${(event: ClipboardEvent) => this.#pasted(event, conversation)}></textarea>
        <button class="icon main" aria-label=${draft.editing ? t("save") : t("send")} title=${draft.editing ? t("save") : t("send")} aria-disabled=${isEmpty || !isReady}>${icon(draft.editing ? paths.check : paths.send)}</button>
      </div>
    </form>`;
  }

  get #box(): HTMLTextAreaElement | null {
    return this.desk.find("textarea");
  }

  focus(): void {
    this.#box?.focus();
  }

  reply(entry: Entry): void {
    const draft = this.#draft(entry.conversation);
    delete draft.editing;
    draft.replyTo = entry;
    this.#return();
  }

  edit(entry: Entry): void {
    const draft = this.#draft(entry.conversation);
    delete draft.replyTo;
    draft.editing = entry;
    draft.text = entry.body;
    this.#return();
  }

  /** Upload files to go with the next message. */
  add(conversation: string, files: Iterable<File>): void {
    const draft = this.#draft(conversation);
    for (const file of [...files].slice(0, MOST_FILES - draft.uploads.length)) {
      const upload: Upload = { name: file.name, part: 0, stop: new AbortController() };
      draft.uploads.push(upload);
      void this.#send(conversation, file, draft, upload);
    }
    this.#return();
  }

  #draft(conversation: string): Draft {
    const found = this.#drafts.get(conversation) ?? { text: "", uploads: [] };
    this.#drafts.set(conversation, found);
    return found;
  }

  /** Back to the box, which grows with its text. */
  #return(): void {
    this.desk.changed();
    requestAnimationFrame(() => {
      this.focus();
      this.#grow();
    });
  }

  #leave(conversation: string): void {
    const draft = this.#draft(conversation);
    if (draft.editing) draft.text = "";
    delete draft.editing;
    delete draft.replyTo;
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
    const draft = this.#draft(conversation);
    draft.text = (event.target as HTMLTextAreaElement).value;
    this.#grow();
    this.desk.changed();
    if (draft.text && !draft.editing) this.desk.line.typing(conversation);
  }

  #key(event: KeyboardEvent, conversation: string): void {
    const draft = this.#draft(conversation);
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      this.#submit(event, conversation);
    } else if (event.key === "Escape" && (draft.editing || draft.replyTo)) {
      event.stopPropagation();
      this.#leave(conversation);
    } else if (event.key === "ArrowUp" && !draft.text && !draft.editing) {
      const last = this.desk.lastOwn();
      if (!last) return;
      event.preventDefault();
      this.edit(last);
    }
  }

  #pasted(event: ClipboardEvent, conversation: string): void {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    this.add(conversation, files);
  }

  #picked(event: Event, conversation: string): void {
    const input = event.target as HTMLInputElement;
    this.add(conversation, input.files ?? []);
    input.value = "";
  }

  #submit(event: Event, conversation: string): void {
    event.preventDefault();
    const draft = this.#draft(conversation);
    const text = draft.text.trim();
    const files = draft.uploads.flatMap((one) => one.done?.id ?? []);
    if (files.length < draft.uploads.length || (!text && !files.length)) return;
    if (draft.editing) void this.#save(draft.editing, text);
    else {
      void this.desk.line.send(conversation, text, {
        clientId: newId(),
        ...(draft.replyTo && { replyTo: draft.replyTo.id }),
        ...(files.length && { attachments: files }),
      });
    }
    this.#drafts.delete(conversation);
    this.#return();
  }

  async #save(entry: Entry, text: string): Promise<void> {
    if (text === entry.body) return;
    try {
      await this.desk.calls.edit(entry.conversation, entry.id, text);
    } catch (error) {
      this.edit(entry);
      this.#draft(entry.conversation).text = text;
      this.desk.tell((error as Error).message);
    }
  }

  // --- Files -------------------------------------------------------------------------------------

  async #send(conversation: string, file: File, draft: Draft, upload: Upload): Promise<void> {
    try {
      upload.done = await this.desk.calls.upload(conversation, file, file.name, {
        signal: upload.stop.signal,
        onProgress: (part) => {
          upload.part = part;
          this.desk.changed();
        },
      });
    } catch (error) {
      draft.uploads = draft.uploads.filter((one) => one !== upload);
      const reason = (error as Error).message;
      if (!upload.stop.signal.aborted) this.desk.tell(`${file.name}: ${reason}`);
    }
    this.desk.changed();
  }

  #upload(draft: Draft, upload: Upload): TemplateResult {
    const label = this.desk.t("remove", { name: upload.name });
    const remove = () => {
      upload.stop.abort();
      draft.uploads = draft.uploads.filter((one) => one !== upload);
      this.#return();
    };
    return html`<li>
      ${icon(paths.file)}<span class="cut" dir="auto">${upload.name}</span>
      ${upload.done ? nothing : html`<progress max="1" .value=${upload.part} aria-label=${upload.name}></progress>`}
      <button type="button" class="icon" aria-label=${label} @click=${remove}>${icon(paths.close)}</button>
    </li>`;
  }
}
