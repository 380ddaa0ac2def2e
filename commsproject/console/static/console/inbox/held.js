// What was written and is not with the service yet. The browser keeps it until the service has it or
// somebody throws it away, whatever becomes of the page, the line or the sign-in. All tabs show it, and
// each may send it: what has one `client_id` is written once.

import { post, session } from "./api.js";
import { now } from "./dom.js";
import { newId, Store } from "./store.js";

const SOONEST_MS = 5000;
const LATEST_MS = 60_000;

export class Held {
  #store = new Store("held");
  #busy = new Set(); // conversations of which something is on its way
  #pause = SOONEST_MS;
  #retry;

  /** `changed` hears of a conversation whose list is another; `sent` of what the service has made. */
  constructor({ changed, sent }) {
    this.changed = changed;
    this.sent = sent;
    this.#store.follow((_, is, was) => changed((is ?? was).conversation));
  }

  /** In the order in which it was written. */
  of(conversation) {
    return this.#all().filter((one) => one.conversation === conversation);
  }

  isOf(conversation) {
    return this.of(conversation).length > 0;
  }

  /** Why it is not sent, or that it is just now. */
  state({ conversation }) {
    if (this.#busy.has(conversation)) return "Sending";
    return session.isOver ? "Waits until you are signed in" : "Waits for the connection";
  }

  isOnItsWay({ conversation, error }) {
    return !error && this.#busy.has(conversation);
  }

  /** `files`, of a reply, are its attachments with their names; `about` is what it answers. */
  add({ conversation, isNote, asked, files, about }) {
    const id = newId();
    this.#store.set(id, {
      id,
      conversation,
      isNote,
      asked: { ...asked, client_id: id },
      files,
      about,
      created_at: new Date(now()).toISOString(),
      at: Date.now(),
    });
    this.changed(conversation);
    this.#send(conversation);
  }

  retry({ id }) {
    const { error: _, ...one } = this.#store.get(id);
    this.#store.set(id, one);
    this.#send(one.conversation);
  }

  /** Thrown away, or known to be with the service. */
  remove(id) {
    const one = this.#store.get(id);
    if (!one) return;
    this.#store.delete(id);
    this.changed(one.conversation);
  }

  /** The line is back, or the sign-in. */
  flush() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    for (const conversation of new Set(this.#all().map((one) => one.conversation))) this.#send(conversation);
  }

  #all() {
    return this.#store.entries.map(([, one]) => one).sort((a, b) => a.at - b.at);
  }

  #next(conversation) {
    return this.of(conversation).find((one) => !one.error);
  }

  /** One after the other, as they were written. */
  async #send(conversation) {
    if (this.#busy.has(conversation)) return;
    this.#busy.add(conversation);
    for (let one; (one = this.#next(conversation)); ) {
      this.changed(conversation);
      if (!(await this.#post(one))) break;
    }
    this.#busy.delete(conversation);
    this.changed(conversation);
  }

  /** Whether the next may follow. */
  async #post({ id, conversation, isNote, asked }) {
    try {
      const made = await post(`${conversation}/${isNote ? "note" : "reply"}`, asked);
      this.#pause = SOONEST_MS;
      this.sent(conversation, isNote ? { notes: [made] } : { entries: [made] });
      this.remove(id);
    } catch (error) {
      if (error.isTemporary || error.status === 401) {
        this.#later(error.retryAfter);
        return false;
      }
      const one = this.#store.get(id);
      if (one) this.#store.set(id, { ...one, error: error.message });
    }
    return true;
  }

  #later(seconds = 0) {
    this.#retry ??= setTimeout(() => this.flush(), Math.max(this.#pause, seconds * 1000));
    this.#pause = Math.min(this.#pause * 2, LATEST_MS);
  }
}
