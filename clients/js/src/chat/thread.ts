/** One conversation as far as it is loaded: what was written, who has read what, who is writing. */

import type { LiveClient } from "../live.js";
import type { Unsent } from "../outbox.js";
import type { Conversations } from "../rest.js";
import type { Conversation, Entry, MarkFrame, Somebody, TypingFrame } from "../wire.js";

/** Entries that are drawn together, or not at all while they are far from what is seen. */
export interface Chunk {
  /** Of its first entry, when it was made: it names the chunk. */
  readonly id: number;
  entries: Entry[];
}

const CHUNK = 50;
const MORE = 200;

export type Receipt = "sent" | "delivered" | "read";

export class Thread {
  chunks: Chunk[] = [];
  hasOlder = false;
  /** What is loaded does not go up to the end. */
  hasNewer = false;
  isLoaded = false;
  /** Up to here it was read when it was opened. */
  readUntil = 0;
  /** What is not acknowledged, refused, or acknowledged and not yet come back. */
  pending: Unsent[] = [];
  readonly typing = new Map<string, { person: Somebody; timer: ReturnType<typeof setTimeout> }>();
  #byId = new Map<string, Chunk>();
  #own = new Set<string>();
  #acknowledged = new Map<string, Unsent>();
  #isLoadingMore = false;
  /** What comes while a page is on its way that takes the place of all, and may not have it. */
  #meanwhile: Entry[] | null = null;

  constructor(
    private readonly line: LiveClient,
    private readonly calls: Conversations,
    public conversation: Conversation,
    readonly me: string,
    private readonly changed: () => void,
  ) {
    this.readUntil = conversation.me?.read_seq ?? 0;
    this.takeUnsent();
  }

  get isLoading(): boolean {
    return this.#meanwhile !== null;
  }

  get id(): string {
    return this.conversation.id;
  }

  get first(): Entry | undefined {
    return this.chunks[0]?.entries[0];
  }

  get last(): Entry | undefined {
    return this.chunks.at(-1)?.entries.at(-1);
  }

  /** Of the last change there is, to say how far one has read. */
  get head(): number {
    return Math.max(this.line.position("conversations", this.id) ?? 0, this.last?.seq ?? 0);
  }

  isMine({ author }: { author: Somebody }): boolean {
    return author.kind === "user" && author.id === this.me;
  }

  get others(): Conversation["participants"] {
    return this.conversation.participants.filter((one) => one.kind !== "user" || one.id !== this.me);
  }

  /** As the service has it now, or had it: who has read what is not forgotten. */
  renew(now: Conversation): void {
    const before = this.conversation.participants;
    this.conversation = now;
    for (const person of before) {
      this.mark({ person, type: "delivered", seq: person.delivered_seq });
      this.mark({ person, type: "read", seq: person.read_seq });
    }
  }

  // --- Loading -----------------------------------------------------------------------------------

  /** The latest page, or the one around an entry, in place of what there was. */
  async load(around?: string): Promise<void> {
    const meanwhile: Entry[] = (this.#meanwhile = []);
    if (!around) this.isLoaded = this.hasNewer = false; // and stays so where it fails, to be tried again
    let page;
    try {
      page = await this.calls.entries(this.id, { limit: CHUNK, ...(around && { around }) });
      if (this.#meanwhile !== meanwhile) return; // another was asked for since
    } finally {
      if (this.#meanwhile === meanwhile) this.#meanwhile = null;
    }
    this.chunks = [];
    this.#byId.clear();
    this.#put(page.results);
    this.hasOlder = page.previous !== null;
    this.hasNewer = page.next !== null;
    this.isLoaded = true;
    this.line.subscribe({ conversations: { [this.id]: page.last_seq } });
    for (const entry of meanwhile) this.take(entry);
    this.changed();
  }

  /** What was before what is loaded, unless something is on its way. */
  older(): Promise<void> {
    return this.#more(this.hasOlder && this.first, async (first) => {
      const page = await this.calls.entries(this.id, { before: first.seq, limit: MORE });
      if (this.first !== first) return; // loaded anew meanwhile
      this.#put(page.results);
      this.hasOlder = page.previous !== null;
    });
  }

  /** What comes after it. */
  newer(): Promise<void> {
    return this.#more(this.hasNewer && this.last, async (last) => {
      const page = await this.calls.entries(this.id, { from: last.seq + 1, limit: MORE });
      if (this.last !== last) return;
      this.#put(page.results, true);
      this.hasNewer = page.next !== null || page.last_seq < this.head; // what came meanwhile was not taken
    });
  }

  async #more(edge: Entry | undefined | false, fetch: (edge: Entry) => Promise<void>): Promise<void> {
    if (!edge || this.#isLoadingMore) return;
    this.#isLoadingMore = true;
    try {
      await fetch(edge);
    } finally {
      this.#isLoadingMore = false;
      this.changed();
    }
  }

  /** Those of one page, which are all before or all after what is there. */
  #put(entries: Entry[], isAfter = false): void {
    const chunks: Chunk[] = [];
    for (let at = entries.length; at > 0; at -= CHUNK) {
      const some = entries.slice(Math.max(0, at - CHUNK), at);
      const chunk = { id: some[0]?.seq ?? 0, entries: some };
      chunks.unshift(chunk);
      for (const entry of some) this.#note(entry, chunk);
    }
    this.chunks = isAfter ? [...this.chunks, ...chunks] : [...chunks, ...this.chunks];
  }

  find(id: string): Entry | undefined {
    return this.#byId.get(id)?.entries.find((one) => one.id === id);
  }

  // --- What comes --------------------------------------------------------------------------------

  /** Whether it is new at the end. */
  take(entry: Entry): boolean {
    this.#meanwhile?.push(entry);
    if (!this.isLoaded) return false;
    const chunk = this.#byId.get(entry.id);
    if (chunk) {
      chunk.entries = chunk.entries.map((one) =>
        one.id === entry.id && one.changed_seq <= entry.changed_seq ? entry : one,
      );
      return false;
    }
    if (entry.seq < (this.last?.seq ?? 0)) return false; // older than what is loaded
    if (!this.hasNewer) this.#append(entry);
    this.stopTyping(entry.author);
    return true;
  }

  #append(entry: Entry): void {
    let chunk = this.chunks.at(-1);
    if (!chunk || chunk.entries.length >= CHUNK) {
      chunk = { id: entry.seq, entries: [] };
      this.chunks = [...this.chunks, chunk];
    }
    chunk.entries = [...chunk.entries, entry];
    this.#note(entry, chunk);
  }

  #note(entry: Entry, chunk: Chunk): void {
    this.#byId.set(entry.id, chunk);
    this.mark({ person: entry.author, type: "read", seq: entry.seq }); // who writes has read what was before
    if (!this.isMine(entry) || !entry.client_id) return;
    this.#own.add(entry.client_id);
    if (this.#acknowledged.delete(entry.client_id)) this.takeUnsent();
  }

  // --- What is on its way ------------------------------------------------------------------------

  takeUnsent(): void {
    const waiting = this.line.unsent(this.id).filter((one) => !this.#own.has(one.clientId));
    this.pending = [...this.#acknowledged.values(), ...waiting];
  }

  /** The service has it; it is shown as waiting until it comes as an entry. */
  acknowledge(clientId: string): void {
    const found = this.pending.find((one) => one.clientId === clientId);
    if (found && !this.#own.has(clientId)) this.#acknowledged.set(clientId, found);
  }

  // --- People ------------------------------------------------------------------------------------

  /** The participant, if it is one. */
  knows({ kind, id }: Somebody): Conversation["participants"][number] | undefined {
    return this.conversation.participants.find((one) => one.kind === kind && one.id === id);
  }

  mark({ person, type, seq }: Pick<MarkFrame, "person" | "type" | "seq">): void {
    const found = this.knows(person);
    if (!found) return;
    found.delivered_seq = Math.max(found.delivered_seq, seq);
    if (type === "read") found.read_seq = Math.max(found.read_seq, seq);
  }

  /** How far it has come with all others. Of the team one is enough: they take turns. */
  receipt({ seq }: Entry): Receipt {
    const all = (field: "read_seq" | "delivered_seq") => {
      const has = this.others.filter((one) => one[field] >= seq);
      const isTeams = has.some((one) => one.kind !== "user");
      return has.length > 0 && this.others.every((one) => has.includes(one) || (isTeams && one.kind !== "user"));
    };
    if (all("read_seq")) return "read";
    return all("delivered_seq") ? "delivered" : "sent";
  }

  startTyping({ person, lasts_ms }: TypingFrame): void {
    if (this.isMine({ author: person })) return; // another tab
    this.stopTyping(person);
    const timer = setTimeout(() => {
      this.stopTyping(person);
      this.changed();
    }, lasts_ms);
    this.typing.set(`${person.kind}:${person.id}`, { person, timer });
  }

  stopTyping(person: Somebody): void {
    const name = `${person.kind}:${person.id}`;
    clearTimeout(this.typing.get(name)?.timer);
    this.typing.delete(name);
  }
}
