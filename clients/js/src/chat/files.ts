/** Files: on their way to the service, and of messages. */

import { html, nothing, type TemplateResult } from "lit-html";
import type { CommsError } from "../http.js";
import type { LiveClient } from "../live.js";
import type { Conversations } from "../rest.js";
import { icon, tool } from "../widgets/icons.js";
import * as paths from "../widgets/paths.js";
import type { Attachment, Entry, Links } from "../wire.js";
import type { View } from "./message.js";

/** A file on its way. */
export interface Upload {
  name: string;
  /** 0 to 1. */
  part: number;
  stop: AbortController;
  /** How often it did not get through while there was a line. */
  tries: number;
  done?: Attachment;
}

/** What goes with the next message. */
export interface Tray {
  uploads: Upload[];
}

export interface Desk {
  root: ShadowRoot;
  line: LiveClient;
  calls: Conversations;
  view: View;
  /** Something is to be drawn. */
  changed(): void;
  /** The person is to be told why something failed. */
  failed(reason: unknown, what?: string): void;
  /** Until the widget leaves the page. */
  during(off: () => void): void;
  /** A file may have so many megabytes. */
  largest: number;
  /** Into the thread that is open. */
  dropped(files: FileList): void;
}

const MOST = 10;
/** Of a file that does not get through: a minute. */
const MOST_TRIES = 5;
/** Links are good for five minutes. Measured here: the clock of a device may be wrong. */
const GOOD_MS = 280_000;

export class Files {
  #known = new Map<string, Links & { until: number }>();
  #tries = new Map<string, number>();

  constructor(private readonly desk: Desk) {
    for (const type of ["dragover", "dragleave", "drop"]) {
      desk.root.addEventListener(type, this.#drag);
      desk.during(() => desk.root.removeEventListener(type, this.#drag));
    }
  }

  /** Files over a thread, and let go there. */
  readonly #drag = (event: Event): void => {
    const { dataTransfer, target, type } = event as DragEvent;
    const thread = (target as Element).closest<HTMLElement>(".thread:not(.empty)");
    if (!thread || !dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    thread.classList.toggle("over", type === "dragover");
    thread.dataset["drop"] = this.desk.view.t("drop");
    if (type === "drop") this.desk.dropped(dataTransfer.files);
  };

  // --- On their way ------------------------------------------------------------------------------

  /** Those that fit; of the others the person is told. */
  add(conversation: string, tray: Tray, files: Iterable<File>): void {
    const all = [...files].filter((file) => this.#isOfSize(file));
    const fit = all.splice(0, MOST - tray.uploads.length);
    for (const file of fit) {
      const upload: Upload = { name: file.name, part: 0, tries: 0, stop: new AbortController() };
      tray.uploads.push(upload);
      void this.#send(conversation, tray, file, upload);
    }
    const left = new Intl.ListFormat(this.desk.view.locale).format(all.map((file) => file.name));
    if (left) this.desk.failed(this.desk.view.t("tooMany", { count: MOST, names: left }));
  }

  /** Text goes into the box, as far as there is room, and files with it. */
  pasted(event: ClipboardEvent, add: (files: FileList) => void): void {
    const { selectionStart, selectionEnd, value, maxLength } = event.target as HTMLTextAreaElement;
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const isTooLong = value.length - (selectionEnd - selectionStart) + text.length > maxLength;
    if (isTooLong) this.desk.failed({ code: "too_long", values: { count: maxLength } });
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    if (!text) event.preventDefault(); // the name of a file is no text
    add(files);
  }

  /** Told before it has been on its way for long. */
  #isOfSize(file: File): boolean {
    const { locale } = this.desk.view;
    const isTooLarge = file.size > this.desk.largest * 1024 * 1024;
    const largest = new Intl.NumberFormat(locale, { style: "unit", unit: "megabyte" }).format(this.desk.largest);
    if (isTooLarge) this.desk.failed({ code: "too_large", values: { size: largest } }, file.name);
    else if (!file.size) this.desk.failed({ code: "empty" }, file.name);
    return file.size > 0 && !isTooLarge;
  }

  async #send(conversation: string, tray: Tray, file: File, upload: Upload): Promise<void> {
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
        setTimeout(() => void this.#send(conversation, tray, file, upload), 1000 * 2 ** upload.tries);
        return;
      }
      drop(tray, upload);
      this.desk.failed(error, file.name);
    }
    this.desk.changed();
  }

  tray(tray: Tray, removed: () => void): TemplateResult {
    return html`<ul class="uploads">${tray.uploads.map((one) => {
      const remove = () => {
        one.stop.abort();
        drop(tray, one);
        removed();
      };
      return html`<li>
        ${icon(paths.file)}<span class="cut" dir="auto">${one.name}</span>
        ${one.done ? nothing : html`<progress max="1" .value=${one.part} aria-label=${one.name}></progress>`}
        ${tool(paths.close, this.desk.view.t("remove", { name: one.name }), remove)}
      </li>`;
    })}</ul>`;
  }

  // --- Of messages -------------------------------------------------------------------------------

  of(entry: Entry): TemplateResult[] {
    return entry.attachments.map((file) => (file.has_thumbnail ? this.#picture(entry, file) : this.#row(entry, file)));
  }

  #row({ conversation }: Entry, file: Attachment): TemplateResult {
    return html`<button type="button" class="file" @click=${() => this.#open(conversation, file)}>${icon(paths.file)}<span class="cut" dir="auto">${file.name}</span><small>${size(this.desk.view.locale, file.size)}</small></button>`;
  }

  #picture({ conversation }: Entry, file: Attachment): TemplateResult {
    const link = this.#thumbnail(conversation, file);
    return html`<button type="button" class="picture" aria-label=${file.name} @click=${() => this.#open(conversation, file)}>${link
      ? html`<img src=${link} alt="" width=${file.width ?? nothing} height=${file.height ?? nothing} @error=${() => this.#again(conversation, file)}>`
      : icon(paths.file)}</button>`;
  }

  /** The address of a small picture, once it is known. */
  #thumbnail(conversation: string, file: Attachment): string | undefined {
    const links = this.#known.get(file.id);
    if (!links && !this.#tries.has(file.id)) {
      this.#tries.set(file.id, 0);
      this.#show(conversation, file);
    }
    return links?.thumbnail_url ?? undefined;
  }

  /** In a new tab, or as a download. */
  #open(conversation: string, file: Attachment): void {
    void this.desk.view.attempt(async () => {
      const known = this.#known.get(file.id);
      const links = known && known.until > Date.now() ? known : await this.#fetch(conversation, file);
      window.open(links.url, "_blank", "noopener");
    });
  }

  /** A picture, or its link, did not come: the line was bad. A link that has ended does not count. */
  #again(conversation: string, file: Attachment): void {
    const hasEnded = (this.#known.get(file.id)?.until ?? Infinity) < Date.now();
    const tries = hasEnded ? 1 : (this.#tries.get(file.id) ?? 0) + 1;
    this.#tries.set(file.id, tries);
    if (tries <= MOST_TRIES) setTimeout(() => this.#show(conversation, file), tries * 1000);
  }

  #show(conversation: string, file: Attachment): void {
    this.#fetch(conversation, file).then(this.desk.changed, () => this.#again(conversation, file));
  }

  async #fetch(conversation: string, file: Attachment): Promise<Links> {
    const links = await this.desk.calls.attachment(conversation, file.id);
    this.#known.set(file.id, { ...links, until: Date.now() + GOOD_MS });
    return links;
  }
}

function drop(tray: Tray, upload: Upload): void {
  tray.uploads = tray.uploads.filter((one) => one !== upload);
}

/** As small numbers are read: bytes are counted, and no kilobyte is 0. */
function size(locale: string, bytes: number): string {
  const style = { style: "unit", maximumFractionDigits: 1 } as const;
  if (bytes < 1000) return new Intl.NumberFormat(locale, { ...style, unit: "byte", unitDisplay: "long" }).format(bytes);
  const isLarge = bytes >= 999_950; // which would be written as 1,000 kB
  return new Intl.NumberFormat(locale, { ...style, unit: isLarge ? "megabyte" : "kilobyte" }).format(bytes / (isLarge ? 1e6 : 1e3));
}
