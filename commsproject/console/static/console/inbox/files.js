// Files that go with the next reply. They stay with their conversation, in the order in which they were
// added, whichever is there first.

import { options, reason, session, upload } from "./api.js";
import { make, part, size } from "./dom.js";

/** Of what does not get through while there is a line: about a minute. */
const MOST_TRIES = 5;

export class Files {
  #of = new Map(); // conversation -> its files

  /** `told` hears, of a conversation, why something was not added. */
  constructor({ client, thread, told }) {
    this.client = client;
    this.thread = thread;
    this.told = told;
    addEventListener("beforeunload", (event) => {
      if ([...this.#of.values()].flat().some((one) => !one.id)) event.preventDefault();
    });
  }

  get list() {
    return this.#of.get(this.thread.id) ?? [];
  }

  get areReady() {
    return this.list.every((one) => one.id);
  }

  /** They go with a reply now. */
  take() {
    const taken = this.list.map(({ id, name }) => ({ id, name }));
    this.#of.delete(this.thread.id);
    this.draw();
    return taken;
  }

  /** Of a reply that was refused. */
  putBack(files) {
    const conversation = this.thread.id;
    const given = files.map((one) => ({ ...one, conversation, stop: new AbortController() }));
    this.#set(conversation, [...given, ...this.list]);
  }

  add(files) {
    const conversation = this.thread.id;
    const wrong = [...files].find((one) => one.size > options.maxSize);
    const fit = [...files].filter((one) => one.size <= options.maxSize);
    const added = fit.slice(0, Math.max(0, options.maxFiles - this.list.length));
    const rest = fit.length - added.length;
    const told = [
      wrong && `${wrong.name} is larger than ${size(options.maxSize)}.`,
      rest && `At most ${options.maxFiles} files go with a reply: ${rest} more ${rest > 1 ? "were" : "was"} not added.`,
    ];
    this.told(conversation, told.filter(Boolean).join(" "));
    const made = added.map((file) => ({ name: file.name || "Picture", conversation, done: 0, tries: 0, stop: new AbortController(), file }));
    this.#set(conversation, [...this.list, ...made]);
    for (const one of made) this.#upload(one);
  }

  /** What does not get through is tried again: until there is a line, and then for a minute. */
  async #upload(one) {
    const told = (done) => {
      one.done = done;
      if (one.bar) one.bar.value = done;
    };
    try {
      const { id, name } = await upload(`${one.conversation}/upload`, one.file, { told, signal: one.stop.signal });
      Object.assign(one, { id, name, file: null });
    } catch (error) {
      if (one.stop.signal.aborted) return;
      const isLost = error.isTemporary || error.status === 401;
      if (isLost && one.tries < MOST_TRIES) {
        if (this.client.state === "live" && !session.isOver) one.tries += 1;
        setTimeout(() => one.stop.signal.aborted || this.#upload(one), 1000 * 2 ** one.tries);
        return;
      }
      this.#remove(one);
      this.told(one.conversation, `${one.name}: ${reason(error)}`);
    }
    this.draw();
  }

  #set(conversation, files) {
    this.#of.set(conversation, files);
    this.draw();
  }

  #remove(one) {
    one.stop.abort();
    const { conversation } = one;
    this.#set(conversation, this.#of.get(conversation).filter((each) => each !== one));
  }

  draw() {
    part("files").replaceChildren(...this.list.map((one) => this.#chip(one)));
  }

  #chip(one) {
    const remove = () => {
      this.#remove(one);
      this.told(this.thread.id, "");
      part("body").focus();
    };
    one.bar = one.id ? null : make("progress", { max: 1, value: one.done, "aria-label": `${one.name} is uploaded` });
    return make(
      "li",
      {},
      make("span", { class: "inbox-file-name", title: one.name, dir: "auto" }, one.name),
      one.bar,
      make("button", { type: "button", "aria-label": `Remove ${one.name}`, click: remove }, "×"),
    );
  }
}
