// What the template reads: found in its sources, described by people, put in by a click.

import { TYPES, kind } from "./data.js";
import { $, h, icon } from "./dom.js";

export class Variables extends EventTarget {
  constructor({ given, draft, samples, insert }) {
    super();
    Object.assign(this, { given, draft, samples, insert });
    this.open = new Set();
    samples.addEventListener("schema", () => this.isOwn || this.show());
    this.show();
  }

  show() {
    const box = $("#ed-variables");
    const focus = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const names = this.rows(this.samples.schema, []);
    box.replaceChildren(
      h("p", { class: "ed-hint" }, names.length
        ? "What the sources read. A click puts it in where the cursor is."
        : "Nothing is read yet. Write a name in braces to begin: {{ name }}."),
      h("ul", { class: "ed-variables" }, names));
    if (focus) box.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  }

  rows(schema, path) {
    const needed = new Set(schema.required ?? []);
    return Object.entries(schema.properties ?? {}).sort(([a], [b]) => a.localeCompare(b))
      .map(([name, inner]) => this.row(inner, [...path, name], needed.has(name)));
  }

  row(schema, path, isNeeded) {
    const key = path.join(".");
    const written = key.replaceAll(".[]", "[]");
    const isLoop = path.includes("[]");
    const inner = [...this.rows(schema, path), ...(schema.items ? this.rows(schema.items, [...path, "[]"]) : [])];
    const shown = path.at(-1);
    const form = h("details", {
      class: "ed-variable-more",
      open: this.open.has(key),
      ontoggle: ({ target }) => this.toggled(key, target.open),
    }, h("summary", { "data-key": `more:${key}`, "aria-label": `Describe ${written}`, title: "Describe it" }, icon("edit")), this.form(schema, path));
    return h("li", {},
      h("div", { class: "ed-variable" },
        h("button", {
          type: "button", class: "ed-insert", "data-key": `insert:${key}`, title: `Put in ${written}`, disabled: !this.given.may_change,
          onclick: () => this.insert(snippet(schema, path, isLoop)),
        }, shown),
        h("span", { class: "ed-type" }, kind(schema)),
        isNeeded ? null : h("span", { class: "ed-type ed-type-quiet" }, "optional")),
      schema.description ? h("p", { class: "ed-about" }, schema.description) : null,
      this.given.may_change ? form : null,
      inner.length ? h("ul", { class: "ed-variables" }, inner) : null);
  }

  form(schema, path) {
    const key = path.join(".");
    const id = (name) => `${name}:${key}`;
    const example = schema.examples?.[0];
    const isPlain = !schema.properties && !schema.items;
    return h("div", { class: "ed-variable-form" },
      h("label", { class: "ed-field" }, "What it is ", h("input", {
        class: "ed-input", "data-key": id("description"), value: schema.description ?? "", maxlength: "2000",
        onchange: ({ target }) => this.edit(path, (node) => put(node, "description", target.value.trim())),
      })),
      isPlain ? h("label", { class: "ed-field" }, "Type ", h("select", {
        class: "ed-input", "data-key": id("type"),
        onchange: ({ target }) => this.edit(path, (node) => put(node, "type", target.value)),
      }, Object.entries(TYPES).filter(([type]) => !["array", "object"].includes(type)).map(([type, label]) =>
        h("option", { value: type, selected: type === mainType(schema) }, label)))) : null,
      isPlain ? h("label", { class: "ed-field" }, "Example ", h("input", {
        class: "ed-input", "data-key": id("example"), value: example === undefined ? "" : typeof example === "string" ? example : JSON.stringify(example),
        onchange: ({ target }) => this.edit(path, (node) => put(node, "examples", target.value ? [read(target.value, node)] : "")),
      })) : null,
      path.at(-1) === "[]" ? null : h("label", { class: "ed-option" }, h("input", {
        type: "checkbox", "data-key": id("required"), checked: this.isNeeded(path),
        onchange: ({ target }) => this.need(path, target.checked),
      }), " always in the data"));
  }

  // What was written in the form is shown when it is closed: a row that was built anew would take the focus away.
  toggled(key, isOpen) {
    if (isOpen === this.open.has(key)) return;
    this.open[isOpen ? "add" : "delete"](key);
    if (!isOpen) this.show();
  }

  isNeeded(path) {
    const owner = at(this.samples.schema, path.slice(0, -1));
    return owner?.required?.includes(path.at(-1)) ?? false;
  }

  need(path, isNeeded) {
    const name = path.at(-1);
    this.edit(path.slice(0, -1), (owner) => {
      const others = (owner.required ?? []).filter((each) => each !== name);
      put(owner, "required", isNeeded ? [...others, name].sort() : others.length ? others : "");
    });
  }

  edit(path, act) {
    const schema = structuredClone(this.samples.schema);
    const node = at(schema, path);
    if (!node) return;
    act(node);
    this.draft.change((content) => {
      content.schema = schema;
    });
    this.isOwn = true;
    this.samples.schema = schema;
    this.isOwn = false;
  }
}

function at(schema, path) {
  let node = schema;
  for (const name of path) node = name === "[]" ? node?.items : node?.properties?.[name];
  return node;
}

function put(node, name, value) {
  if (value === "") delete node[name];
  else node[name] = value;
}

// An example as it would come: a number where one is wanted.
function read(text, { type }) {
  const types = [type ?? "string"].flat();
  if (types.includes("string")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function mainType({ type }) {
  const types = [type ?? ""].flat().filter((each) => each !== "null");
  return types.length === 1 ? types[0] : "";
}

// In a loop the item's own name is what can be written.
function snippet(schema, path, isLoop) {
  const names = isLoop ? ["item", ...path.slice(path.lastIndexOf("[]") + 1)] : path;
  const name = names.join(".");
  if (schema.items) return `{% for item in ${name} %}\n  \0\n{% endfor %}`;
  if ([schema.type].flat().includes("boolean") && ![schema.type].flat().includes("string")) return `{% if ${name} %}\0{% endif %}`;
  return `{{ ${name} }}`;
}
