/** Where one writes: text, files, what is answered or edited. */

import { html, nothing, type TemplateResult } from "lit-html";
import type { CommsError } from "../http.js";
import { newId, type LiveClient } from "../live.js";
import type { Conversations } from "../rest.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Attachment, Entry } from "../wire.js";
import { summary, type Translate } from "./message.js";

/** A file on its way. */
interface Upload {
  name: string;
  /** 0 to 1. */
  part: number;
  stop: AbortController;
  /** How often it did not get through while there was a line. */
  tries: number;
  done?: Attachment;
}

interface Draft {
  text: string;
  uploads: Upload[];
  replyTo?: Entry;
}

/** What was written is as it was afterwards. */
interface Edit {
  entry: Entry;
  text: string;
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
  /** The person is to be told why something failed. */
  failed(error: unknown, what?: string): void;
}

const MOST_LETTERS = 10_000;
const MOST_FILES = 10;
/** Of a file that does not get through: a minute. */
const MOST_TRIES = 5;
const ROWS_PX = 160;

export class Composer {
  #drafts = new Map<string, Draft>();
  #edits = new Map<string, Edit>();

  constructor(private readonly desk: Desk) {}

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
      ${draft.uploads.length
        ? html`<ul class="uploads">${draft.uploads.map((one) => this.#upload(draft, one))}</ul>`
        : nothing}
      <div class="row">
        ${edit
          ? nothing
          : html`${tool(paths.attach, t("attach"), () => this.desk.find("input")?.click())}
              <input type="file" multiple hidden tabindex="-1" @change=${(event: Event) => this.#picked(event, conversation)}>`}
        <textarea rows="1" dir="auto" maxlength=${MOST_LETTERS} aria-label=${t("write")} placeholder=${t("write")} .value=${(edit ?? draft).text}
          @input=${(event: InputEvent) => this.#typed(event, conversation)}
          @keydown=${(event: KeyboardEvent) => this.#key(event, conversation)}
          @paste=${(event: ClipboardEvent) => this.#pasted(event, conversation)}></textarea>
        <button class="icon main" aria-label=${label} title=${label} aria-disabled=${!(edit ? edit.text.trim() : isReady(draft))}>${icon(edit ? paths.check : paths.send)}</button>
      </div>
    </form>`;
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
    this.#return();
  }

  edit(entry: Entry, text = entry.body): void {
    this.#edits.set(entry.conversation, { entry, text });
    this.#return();
  }

  /** Upload files to go with the next message. */
  add(conversation: string, files: Iterable<File>): void {
    const draft = this.#draft(conversation);
    for (const file of [...files].slice(0, MOST_FILES - draft.uploads.length)) {
      const upload: Upload = { name: file.name, part: 0, tries: 0, stop: new AbortController() };
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

  /** Back to the box, which grows with its text: now, for a moment later the person may be elsewhere. */
  #return(): void {
    this.desk.changed();
    queueMicrotask(() => this.focus());
  }

  #leave(conversation: string): void {
    if (!this.#edits.delete(conversation)) delete this.#draft(conversation).replyTo;
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
    this.#drafts.delete(conversation);
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
      if (upload.stop.signal.aborted) return;
      const isLost = (error as CommsError).status === 0; // no instanceof: a client given to us has its own class
      if (isLost && upload.tries < MOST_TRIES) {
        if (this.desk.line.state === "live") upload.tries += 1;
        setTimeout(() => void this.#send(conversation, file, draft, upload), 1000 * 2 ** upload.tries);
        return;
      }
      draft.uploads = draft.uploads.filter((one) => one !== upload);
      this.desk.failed(error, file.name);
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
      ${tool(paths.close, label, remove)}
    </li>`;
  }
}

function isReady({ text, uploads }: Draft): boolean {
  return uploads.every((one) => one.done) && Boolean(text.trim() || uploads.length);
}
