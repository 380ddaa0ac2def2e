// What can be done with a message: the one bar of it stands at the message that is pointed at, or has the
// focus.

import { options } from "./api.js";
import { icon, make } from "./dom.js";

const EMOJI = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏"];

export class Actions {
  #seq = null;
  #bar = make("div", { class: "inbox-actions", role: "group", "aria-label": "Actions" });

  constructor(thread, list) {
    this.thread = thread;
    this.list = list;
    for (const type of ["pointerover", "focusin"]) {
      list.addEventListener(type, ({ target }) => this.#at(target.closest("[data-seq]")));
    }
    list.addEventListener("pointerleave", () => list.contains(document.activeElement) || this.hide());
  }

  hide() {
    this.#seq = null;
    this.#bar.remove();
  }

  /** Into the bar of a message that has the focus. */
  begin(node) {
    this.#at(node);
    this.#bar.querySelector("button")?.focus();
  }

  /** Out of it again. */
  end(node) {
    this.#draw();
    node.focus();
  }

  /** The message was drawn anew, or is gone. */
  stay() {
    const node = this.list.querySelector(`[data-seq="${this.#seq}"]`);
    if (!node || this.thread.entries.get(this.#seq).deleted_at) this.hide();
    else if (this.#bar.parentElement !== node) node.append(this.#bar);
  }

  #at(node) {
    const seq = node && Number(node.dataset.seq);
    if (!node || (seq === this.#seq && this.#bar.parentElement === node)) return;
    const entry = this.thread.entries.get(seq);
    if (!options.mayAnswer || !entry || entry.deleted_at) {
      this.hide();
      return;
    }
    this.#seq = seq;
    this.#draw();
    node.append(this.#bar);
  }

  get #entry() {
    return this.thread.entries.get(this.#seq);
  }

  // --- Its buttons -----------------------------------------------------------------------------

  #draw() {
    const { thread } = this;
    const entry = this.#entry;
    if (!entry) return;
    const mayChange = thread.mayChange(entry);
    this.#fill(
      this.#button("add_reaction", "React", () => this.#choose()),
      this.#button("reply", "Reply", () => thread.desk.answer(entry)),
      mayChange && this.#button("edit", "Edit", () => thread.desk.edit(entry)),
      mayChange && this.#button("delete", "Delete", () => this.#ask()),
    );
  }

  #choose() {
    const react = (emoji) => {
      const entry = this.#entry;
      this.#close();
      this.thread.react(entry, emoji);
    };
    this.#fill(...EMOJI.map((emoji) => make("button", { type: "button", "aria-label": `React with ${emoji}`, click: () => react(emoji) }, emoji)));
    this.#bar.querySelector("button").focus();
  }

  #ask() {
    const remove = () => {
      const entry = this.#entry;
      this.#close();
      this.thread.remove(entry);
    };
    this.#fill(
      make("button", { type: "button", class: "inbox-sure", click: remove }, "Delete for everybody"),
      this.#button("close", "Cancel", () => this.#close()),
    );
    this.#bar.querySelector("button").focus();
  }

  /** Back to the message. */
  #close() {
    this.end(this.#bar.parentElement);
  }

  #fill(...buttons) {
    this.#bar.replaceChildren(...buttons.filter(Boolean));
  }

  #button(sign, label, click) {
    return make("button", { type: "button", "aria-label": label, title: label, click }, icon(sign));
  }
}
