/** Links to attachments, which are good for five minutes: fetched when they are needed, and kept until then. */

import type { Conversations } from "../rest.js";
import type { Attachment, Links } from "../wire.js";

const EARLY_MS = 20_000;
const MOST_TRIES = 5;

export class Files {
  #known = new Map<string, Links>();
  #asked = new Set<string>();
  #tries = new Map<string, number>();

  constructor(
    private readonly calls: Conversations,
    private readonly changed: () => void,
  ) {}

  /** The address of a small picture, once it is known. */
  thumbnail(conversation: string, file: Attachment): string | undefined {
    const links = this.#known.get(file.id);
    if (!links && !this.#asked.has(file.id)) {
      this.#asked.add(file.id);
      this.#fetch(conversation, file).then(this.changed, () => undefined);
    }
    return links?.thumbnail_url ?? undefined;
  }

  /** In a new tab, or as a download. */
  async open(conversation: string, file: Attachment): Promise<void> {
    const known = this.#known.get(file.id);
    const isGood = known && Date.parse(known.expires_at) - EARLY_MS > Date.now();
    const links = isGood ? known : await this.#fetch(conversation, file);
    const link = document.createElement("a");
    link.href = links.url;
    link.target = "_blank";
    link.rel = "noopener";
    link.click();
  }

  /** A picture did not come: its link has ended, or the line was bad. */
  again(conversation: string, file: Attachment): void {
    const tries = (this.#tries.get(file.id) ?? 0) + 1;
    this.#tries.set(file.id, tries);
    if (tries > MOST_TRIES) return;
    setTimeout(() => this.#fetch(conversation, file).then(this.changed, () => undefined), tries * 1000);
  }

  async #fetch(conversation: string, file: Attachment): Promise<Links> {
    const links = await this.calls.attachment(conversation, file.id);
    this.#known.set(file.id, links);
    return links;
  }
}
