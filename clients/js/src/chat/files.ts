/**
 * Links to attachments, which are good for five minutes: fetched when they are needed, and kept until
 * then. How long that is is measured here: the clock of a device may be wrong.
 */

import type { Conversations } from "../rest.js";
import type { Attachment, Links } from "../wire.js";

const GOOD_MS = 280_000;
const MOST_TRIES = 5;

export class Files {
  #known = new Map<string, Links & { until: number }>();
  #tries = new Map<string, number>();

  constructor(
    private readonly calls: Conversations,
    private readonly changed: () => void,
  ) {}

  /** The address of a small picture, once it is known. */
  thumbnail(conversation: string, file: Attachment): string | undefined {
    const links = this.#known.get(file.id);
    if (!links && !this.#tries.has(file.id)) {
      this.#tries.set(file.id, 0);
      this.#show(conversation, file);
    }
    return links?.thumbnail_url ?? undefined;
  }

  /** In a new tab, or as a download. */
  async open(conversation: string, file: Attachment): Promise<void> {
    const known = this.#known.get(file.id);
    const links = known && known.until > Date.now() ? known : await this.#fetch(conversation, file);
    window.open(links.url, "_blank", "noopener");
  }

  /** A picture, or its link, did not come: the line was bad. A link that has ended does not count. */
  again(conversation: string, file: Attachment): void {
    const hasEnded = (this.#known.get(file.id)?.until ?? Infinity) < Date.now();
    const tries = hasEnded ? 1 : (this.#tries.get(file.id) ?? 0) + 1;
    this.#tries.set(file.id, tries);
    if (tries <= MOST_TRIES) setTimeout(() => this.#show(conversation, file), tries * 1000);
  }

  #show(conversation: string, file: Attachment): void {
    this.#fetch(conversation, file).then(this.changed, () => this.again(conversation, file));
  }

  async #fetch(conversation: string, file: Attachment): Promise<Links> {
    const links = await this.calls.attachment(conversation, file.id);
    this.#known.set(file.id, { ...links, until: Date.now() + GOOD_MS });
    return links;
  }
}
