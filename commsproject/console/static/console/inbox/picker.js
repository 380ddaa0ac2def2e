// A sheet to choose one of many by typing: whom to assign to, a canned reply. Nothing is chosen but by
// Enter or a press.

import { make, part } from "./dom.js";

export class Picker {
  #asked = null;
  #items = null; // null: on their way
  #shown = [];
  #at = 0;

  constructor() {
    this.dialog = part("picker");
    this.search = part("picker-search");
    this.search.addEventListener("input", () => this.#typed());
    this.search.addEventListener("keydown", (event) => this.#pressed(event));
    this.dialog.addEventListener("close", () => this.dialog.open || this.#leave());
  }

  /**
   * `items` are a promise of `{id, name, text}`; `chosen` hears of one of them, `left` of the text that was
   * typed where none was; `isLoose`: what matches nothing is left at once.
   */
  async open(asked) {
    this.#asked = asked;
    this.#items = null;
    part("picker-title").textContent = asked.title;
    this.search.value = "";
    this.#filter();
    this.dialog.showModal();
    this.search.focus();
    try {
      const items = await asked.items;
      if (this.#asked !== asked) return;
      this.#items = items;
      this.#typed();
    } catch (error) {
      if (this.#asked !== asked) return;
      asked.failed(error);
      this.#leave();
    }
  }

  #typed() {
    this.#filter();
    const { isLoose } = this.#asked;
    if (isLoose && this.#items && !this.#shown.length) this.#leave();
  }

  #filter() {
    const wanted = this.search.value.trim().toLowerCase();
    const { current, none } = this.#asked;
    this.#shown = (this.#items ?? []).filter(({ name, text = "" }) => `${name} ${text}`.toLowerCase().includes(wanted));
    this.#at = wanted ? 0 : Math.max(0, this.#shown.findIndex(({ id }) => id === current));
    part("picker-none").textContent = this.#items === null ? "Loading" : this.#items.length ? "Nothing was found." : none;
    part("picker-none").hidden = this.#shown.length > 0;
    this.#draw();
  }

  #pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      this.#at = Math.min(Math.max(this.#at + step, 0), this.#shown.length - 1);
      this.#draw();
    } else if (event.key === "Escape") {
      event.preventDefault(); // which would clear the field first
      this.#leave();
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      if (this.#shown.length) this.#choose(this.#shown[this.#at]);
    }
  }

  #choose(item) {
    const { chosen } = this.#asked;
    this.#asked = null;
    this.dialog.close();
    chosen(item);
  }

  /** The dialog tells of Escape and of its button a moment after it is hidden. */
  #leave() {
    const asked = this.#asked;
    if (!asked) return;
    this.#asked = null;
    this.dialog.close();
    asked.left?.(this.search.value);
  }

  #draw() {
    const options = this.#shown.map((item, place) =>
      make(
        "li",
        { role: "option", id: `inbox-option-${place}`, "aria-selected": String(place === this.#at), click: () => this.#choose(item) },
        make("strong", {}, item.name),
        item.text ? make("span", {}, item.text) : null,
      ),
    );
    part("picker-list").replaceChildren(...options);
    const active = options[this.#at];
    if (active) this.search.setAttribute("aria-activedescendant", active.id);
    else this.search.removeAttribute("aria-activedescendant");
    active?.scrollIntoView({ block: "nearest" });
  }
}
