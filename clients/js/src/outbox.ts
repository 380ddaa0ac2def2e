/**
 * What was written and is not acknowledged yet. Each message has a place of its own in the storage, so
 * that two tabs of one person do not overwrite each other's; both may send it, since the service
 * writes a `clientId` once.
 */

export interface Unsent {
  clientId: string;
  conversation: string;
  body: string;
  replyTo?: string;
  mentions?: string[];
  attachments?: string[];
  /** Milliseconds since 1970. */
  at: number;
  /** Why it was refused for good: it waits to be retried or discarded. */
  error?: { code: string; message: string };
}

export class Outbox {
  #messages = new Map<string, Unsent>();
  #prefix: string | null = null;

  constructor(private readonly storage: Storage | null) {}

  /** What this person wrote before, from now on kept with what comes. */
  restore(prefix: string): void {
    this.#prefix = prefix;
    const written = [...this.#messages.values()];
    this.#messages = new Map([...this.#stored(), ...written].map((one) => [one.clientId, one]));
    written.forEach((one) => this.#store(one));
  }

  put(message: Unsent): void {
    this.#messages.set(message.clientId, message);
    this.#store(message);
  }

  get(clientId: string): Unsent | undefined {
    return this.#messages.get(clientId);
  }

  remove(clientId: string): void {
    this.#messages.delete(clientId);
    this.#try((storage, prefix) => storage.removeItem(prefix + clientId));
  }

  /** In the order in which they were written. */
  list(conversation?: string): Unsent[] {
    return [...this.#messages.values()].filter((one) => !conversation || one.conversation === conversation);
  }

  /** The next to be sent. */
  next(): Unsent | undefined {
    return this.list().find((one) => !one.error);
  }

  #store(message: Unsent): void {
    this.#try((storage, prefix) => storage.setItem(prefix + message.clientId, JSON.stringify(message)));
  }

  #stored(): Unsent[] {
    const found: Unsent[] = [];
    this.#try((storage, prefix) => {
      for (let index = 0; index < storage.length; index += 1) {
        const key = storage.key(index);
        if (key?.startsWith(prefix)) found.push(JSON.parse(storage.getItem(key) ?? "") as Unsent);
      }
    });
    return found.sort((one, other) => one.at - other.at);
  }

  /** A storage may be full, or forbidden: then messages live as long as the page. */
  #try(action: (storage: Storage, prefix: string) => void): void {
    if (this.storage === null || this.#prefix === null) return;
    try {
      action(this.storage, this.#prefix);
    } catch {
      // see above
    }
  }
}
