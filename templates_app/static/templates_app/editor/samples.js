// Sample data sets, stored with the template, edited as JSON.

import { $, confirmed, h, icon } from "./dom.js";
import { MADE_UP, madeUp } from "./data.js";
import { same } from "./draft.js";
import { Source } from "./source.js";

export class Samples extends EventTarget {
  constructor({ given, draft }) {
    super();
    Object.assign(this, { given, draft });
    this.chosen = draft.content.samples[0]?.name ?? MADE_UP;
    this.known = draft.content.schema ?? {};
    this.broken = new Map(); // a sample's text that is not JSON, by its name
    this.editor = null;
    this.show();
  }

  get list() {
    return this.draft.content.samples;
  }

  get current() {
    return this.list.find(({ name }) => name === this.chosen);
  }

  get data() {
    return this.current?.data ?? madeUp({ type: "object", ...this.known });
  }

  get schema() {
    return this.known;
  }

  set schema(schema) {
    if (same(schema, this.known)) return;
    this.known = schema;
    this.dispatchEvent(new Event("schema"));
  }

  choose(name) {
    this.chosen = this.list.some((sample) => sample.name === name) ? name : MADE_UP;
    this.show();
    this.dispatchEvent(new Event("chosen"));
  }

  add(name, data) {
    let free = name;
    for (let number = 2; this.list.some((sample) => sample.name === free); number += 1) free = `${name} ${number}`;
    this.draft.change((content) => content.samples.push({ name: free, data, locale: "" }));
    this.choose(free);
    $("#ed-sample-name")?.select();
  }

  async remove() {
    const title = `Delete the sample ${this.chosen}?`;
    if (!(await confirmed({ title, text: "It is gone when you save.", button: "Delete", danger: true }))) return;
    this.draft.change((content) => {
      content.samples = content.samples.filter(({ name }) => name !== this.chosen);
    });
    this.choose(this.list[0]?.name ?? MADE_UP);
  }

  show() {
    if (this.chosen !== MADE_UP && !this.current) this.chosen = MADE_UP;
    const select = $("#ed-sample");
    select.replaceChildren(...[MADE_UP, ...this.list.map(({ name }) => name)].map((name) =>
      h("option", { value: name, selected: name === this.chosen }, name || "made up")));
    select.onchange = () => this.choose(select.value);
    this.editor?.leave();
    this.editor = null;
    $("#ed-samples").replaceChildren(this.head(), ...(this.current ? this.fields() : [this.invitation()]));
    if (this.current) this.open();
  }

  head() {
    if (!this.given.may_change) return "";
    return h("div", { class: "ed-sample-tools" },
      h("button", { type: "button", class: "ed-add", onclick: () => this.add("New sample", madeUp({ type: "object", ...this.known })) }, icon("add"), "Sample"),
      this.current ? h("button", { type: "button", class: "ed-add", onclick: () => this.add(`${this.chosen} copy`, structuredClone(this.data)) }, icon("content_copy"), "Copy") : null,
      this.current ? h("button", { type: "button", class: "ed-add", onclick: () => this.remove() }, icon("delete"), "Delete") : null);
  }

  invitation() {
    const more = this.given.may_change ? " Add a sample to try your own: what publishing checks and colleagues see." : "";
    return h("div", {},
      h("p", { class: "ed-hint" }, `The preview uses data made up from the variables.${more}`),
      h("pre", { class: "ed-text ed-text-small" }, JSON.stringify(this.data, null, 2)));
  }

  fields() {
    const { current } = this;
    const isFixed = !this.given.may_change;
    return [
      h("div", { class: "ed-sample-facts" },
        h("label", { class: "ed-field" }, "Name ", h("input", {
          id: "ed-sample-name", class: "ed-input", value: current.name, maxlength: "100", disabled: isFixed,
          onchange: (event) => this.rename(event.target),
        })),
        h("label", { class: "ed-field" }, "Reader's language ", h("input", {
          class: "ed-input", value: current.locale, maxlength: "35", placeholder: "any", list: "ed-languages", disabled: isFixed,
          pattern: "[A-Za-z]{2,8}([\\-_][A-Za-z0-9]{1,8})*",
          onchange: (event) => event.target.reportValidity() && this.set({ locale: event.target.value }),
        }))),
      h("p", { class: "ed-label", id: "ed-sample-label" }, "Data"),
      h("div", { class: "ed-source ed-source-json", id: "ed-sample-editor" }),
      h("p", { class: "ed-said", id: "ed-sample-said" }),
    ];
  }

  open() {
    const text = this.broken.get(this.chosen) ?? JSON.stringify(this.current.data, null, 2);
    this.editor = new Source({
      parent: $("#ed-sample-editor"),
      label: "Data of the sample, as JSON",
      describedBy: "ed-sample-said",
      value: text,
      language: "json",
      isFixed: !this.given.may_change,
      changed: (changed) => this.typed(changed),
    });
    this.say(parsed(text).message);
  }

  typed(text) {
    const { data, message } = parsed(text);
    this.say(message);
    if (message) {
      this.broken.set(this.chosen, text);
      return;
    }
    this.broken.delete(this.chosen);
    this.set({ data });
  }

  say(message) {
    const place = message?.match(/line (\d+) column (\d+)/);
    const problem = message && { line: Number(place?.[1] ?? 1), column: Number(place?.[2] ?? 1), message, severity: "error" };
    this.editor?.mark(problem ? [problem] : []);
    $("#ed-sample-said")?.replaceChildren(message ? h("span", { class: "ed-said-error" }, message) : "");
  }

  set(changes) {
    this.draft.change(() => Object.assign(this.current, changes));
    this.dispatchEvent(new Event("changed"));
    if ("locale" in changes) this.dispatchEvent(new Event("chosen"));
  }

  rename(input) {
    const name = input.value.trim();
    if (!name || this.list.some((sample) => sample !== this.current && sample.name === name)) {
      input.setCustomValidity(name ? "There is a sample of this name." : "A sample has a name.");
      input.reportValidity();
      input.setCustomValidity("");
      return;
    }
    if (this.broken.has(this.chosen)) this.broken.set(name, this.broken.get(this.chosen));
    this.draft.change(() => Object.assign(this.current, { name }));
    this.chosen = name;
    this.show();
  }
}

function parsed(text) {
  try {
    const data = JSON.parse(text || "{}");
    const isObject = data && typeof data === "object" && !Array.isArray(data);
    return isObject ? { data } : { message: "Data are an object: { ... }." };
  } catch (error) {
    return { message: `This is not JSON yet${placed(error, text)}.` };
  }
}

// Browsers tell of the place in words of their own.
function placed({ message }, text) {
  const own = message.match(/line (\d+) column (\d+)/);
  if (own) return ` (line ${own[1]} column ${own[2]})`;
  const position = message.match(/position (\d+)/);
  if (!position) return "";
  const before = text.slice(0, Number(position[1])).split("\n");
  return ` (line ${before.length} column ${before.at(-1).length + 1})`;
}
