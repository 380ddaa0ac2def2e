// What the browser keeps for this member of staff, each thing in a place of its own. A storage may be
// full, or forbidden: then things live as long as the page.

import { options } from "./api.js";

/** Not `crypto.randomUUID`, which is for secure pages only. */
export const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((it) => it.toString(16).padStart(2, "0")).join("");

export class Store {
  #prefix;
  #values = new Map();

  constructor(name) {
    this.#prefix = `inbox-${name}:${options.me.id}:`;
    this.#try((storage) => {
      for (const key of Object.keys(storage)) {
        if (key.startsWith(this.#prefix)) this.#values.set(this.#named(key), JSON.parse(storage.getItem(key)));
      }
    });
  }

  get(name) {
    return this.#values.get(name);
  }

  get entries() {
    return [...this.#values];
  }

  set(name, value) {
    this.#values.set(name, value);
    this.#try((storage) => storage.setItem(this.#prefix + name, JSON.stringify(value)));
  }

  delete(name) {
    this.#values.delete(name);
    this.#try((storage) => storage.removeItem(this.#prefix + name));
  }

  /** Take what other tabs keep and let go, and hear of it: its name, what it is now and what it was. */
  follow(heard) {
    addEventListener("storage", ({ key, newValue }) => {
      if (!key?.startsWith(this.#prefix)) return;
      const name = this.#named(key), before = this.#values.get(name);
      if (newValue === null) this.#values.delete(name);
      else this.#values.set(name, JSON.parse(newValue));
      heard(name, this.#values.get(name), before);
    });
  }

  #named(key) {
    return key.slice(this.#prefix.length);
  }

  #try(action) {
    try {
      action(localStorage);
    } catch {
      // see above
    }
  }
}
