// The sources: tabs of languages and channels, an editor for each part.

import { $, confirmed, h, icon } from "./dom.js";
import { channelsOf } from "./draft.js";
import { Source } from "./source.js";
import { tabs } from "./tabs.js";

const names = typeof Intl.DisplayNames === "function" ? new Intl.DisplayNames(["en"], { type: "language" }) : null;

export function languageName(tag) {
  try {
    return (tag && names?.of(tag.replace("_", "-"))) || tag;
  } catch {
    return tag;
  }
}

export class Write extends EventTarget {
  constructor({ given, draft, complete }) {
    super();
    Object.assign(this, { given, draft, complete });
    this.locale = "";
    this.channel = "";
    this.sources = new Map(); // part to Source
    this.left = new Map(); // path to the state of an editor that was closed
    this.bodies = new Map(); // the body that was switched away from, by its path
    this.problems = [];
    this.active = null;
    this.show();
  }

  // In the order of the spec: the database keeps none.
  get channels() {
    return this.given.channels.map(({ name }) => name).filter((name) => name in this.draft.content.channels);
  }

  get isFixed() {
    return !this.given.may_change;
  }

  get spec() {
    return this.given.channels.find(({ name }) => name === this.channel);
  }

  get parts() {
    return this.draft.parts(this.locale, this.channel);
  }

  // Opens a place and, where it is known, a line.
  open({ locale = this.locale, channel = this.channel, part = "", line = 0, column = 1 }) {
    if (locale !== this.locale || (channel && channel !== this.channel)) {
      this.locale = locale in this.draft.content.translations ? locale : "";
      this.channel = channel || this.channel;
      this.show();
    }
    const source = this.sources.get(part);
    source?.view.dom.closest("details")?.setAttribute("open", "");
    if (line) source?.focus(line, column);
    else if (part) source?.focus();
  }

  show() {
    const { content } = this.draft;
    if (this.locale && !(this.locale in content.translations)) this.locale = "";
    if (!(this.channel in content.channels)) this.channel = this.channels[0] ?? "";
    this.showTabs();
    this.showParts();
    this.dispatchEvent(new Event("moved"));
  }

  showTabs() {
    const { content } = this.draft;
    const count = (test) => this.problems.filter((each) => each.severity === "error" && test(each)).length;
    const own = content.locale ? languageName(content.locale) : "Own language";
    tabs($("#ed-locales"), ["", ...Object.keys(content.translations)].map((locale) => ({
      id: locale,
      label: locale ? languageName(locale) : own,
      mark: marked(count((each) => each.channel && each.locale === locale)),
    })), this.locale, (locale) => this.open({ locale }));
    tabs($("#ed-channels"), this.channels.map((channel) => ({
      id: channel,
      label: this.label(channel),
      mark: marked(count((each) => each.locale === this.locale && each.channel === channel)) ??
        (this.locale && !this.draft.parts(this.locale, channel)
          ? h("span", { class: "ed-mark-quiet", title: "Not translated" }, "fallback") : null),
    })), this.channel, (channel) => this.open({ channel }));
    const missing = this.given.channels.filter(({ name, parts }) => !(name in content.channels) && parts.length);
    $("#ed-add-channels").replaceChildren(...(this.isFixed || this.locale ? [] : missing.map(({ name, label }) =>
      h("button", { type: "button", class: "ed-add", onclick: () => this.addChannel(name) }, icon("add"), label))));
  }

  label(channel) {
    return this.given.channels.find(({ name }) => name === channel)?.label ?? channel;
  }

  addChannel(channel) {
    this.draft.change((content) => {
      content.channels[channel] = {};
    });
    this.open({ channel });
    this.sources.values().next().value?.focus();
  }

  addLocale(locale) {
    this.draft.change((content) => {
      content.translations[locale] ??= {};
    });
    this.open({ locale });
  }

  async removeHere() {
    const what = this.locale ? `${languageName(this.locale)}: ${this.label(this.channel)}` : this.label(this.channel);
    const text = this.locale
      ? "Its readers get the template's own language again."
      : "It goes from every language. What is published stays as it is.";
    if (!(await confirmed({ title: `Remove ${what}?`, text, button: "Remove", danger: true }))) return;
    this.draft.change((content) => {
      if (!this.locale) {
        for (const channels of Object.values(content.translations)) delete channels[this.channel];
      }
      delete channelsOf(content, this.locale)[this.channel];
      if (this.locale && !Object.keys(content.translations[this.locale]).length) delete content.translations[this.locale];
    });
    this.show();
  }

  async removeLocale() {
    const title = `Remove ${languageName(this.locale)}?`;
    const text = "Its readers get the template's own language again. What is published stays as it is.";
    if (!(await confirmed({ title, text, button: "Remove", danger: true }))) return;
    this.draft.change((content) => delete content.translations[this.locale]);
    this.show();
  }

  translate() {
    this.draft.change((content) => {
      content.translations[this.locale][this.channel] = { ...content.channels[this.channel] };
    });
    this.show();
  }

  showParts() {
    for (const [part, source] of this.sources) this.left.set(source.path ?? part, source.leave());
    this.sources.clear();
    this.active = null;
    const box = $("#ed-parts");
    box.setAttribute("aria-label", this.channel ? this.label(this.channel) : "Content");
    if (!this.channel) {
      box.replaceChildren(empty("Nothing is written yet", "Add a channel above: an email, an SMS, a push or an in-app message."));
      return;
    }
    if (!this.parts) {
      box.replaceChildren(this.fallback());
      return;
    }
    box.replaceChildren();
    const extra = h("details", { class: "ed-more" }, h("summary", {}, "More fields"));
    for (const part of this.shownParts()) {
      const isExtra = part.one_line && !part.is_needed && part.name !== "preheader";
      (isExtra ? extra : box).append(this.field(part));
      if (isExtra && this.parts[part.name]) extra.open = true;
    }
    if (extra.children.length > 1) box.append(extra);
    if (!this.isFixed) box.append(this.foot());
    this.mark();
  }

  shownParts() {
    const other = this.bodyKind === "mjml" ? "html" : "mjml";
    return this.spec.parts.filter(({ name }) => this.channel !== "email" || name !== other);
  }

  get bodyKind() {
    const { parts } = this;
    if ("mjml" in parts) return "mjml";
    if ("html" in parts) return "html";
    return "mjml" in (this.draft.parts("", "email") ?? {}) ? "mjml" : "html";
  }

  fallback() {
    const own = this.draft.content.locale ? languageName(this.draft.content.locale) : "the template's own language";
    return h("div", { class: "ed-empty" },
      h("h2", {}, `${this.label(this.channel)} is not in ${languageName(this.locale)}`),
      h("p", {}, `Readers get it in a language this one falls back to, else in ${own}. The preview shows what.`),
      this.isFixed ? null : h("div", { class: "comms-buttons" },
        h("button", { type: "button", class: "comms-button comms-button-primary", onclick: () => this.translate() }, "Begin with a copy"),
        h("button", { type: "button", class: "comms-button", onclick: () => this.removeLocale() }, `Remove ${languageName(this.locale)}`)));
  }

  foot() {
    const buttons = [h("button", { type: "button", class: "ed-quiet", onclick: () => this.removeHere() },
      this.locale ? `Remove this translation of ${this.label(this.channel)}` : `Remove ${this.label(this.channel)}`)];
    if (this.locale) {
      buttons.push(h("button", { type: "button", class: "ed-quiet", onclick: () => this.removeLocale() },
        `Remove all of ${languageName(this.locale)}`));
    }
    return h("div", { class: "ed-foot" }, buttons);
  }

  field(part) {
    const id = `ed-part-${part.name}`;
    const isBody = this.channel === "email" && ["html", "mjml"].includes(part.name);
    const said = h("p", { class: "ed-said", id: `${id}-said` });
    const count = part.one_line || this.channel === "sms" ? h("span", { class: "ed-count" }) : null;
    const editor = h("div", { class: `ed-source${part.one_line ? " ed-source-line" : ""}` });
    const value = this.parts[part.name] ?? "";
    const counted = (text) => count && (count.textContent = text ? `${[...text].length}` : "");
    counted(value);
    const path = `${this.locale}/${this.channel}/${part.name}`;
    const source = new Source({
      parent: editor,
      label: `${this.label(this.channel)}: ${part.label.toLowerCase()}`,
      describedBy: said.id,
      value,
      language: part.language,
      isOneLine: part.one_line,
      isFixed: this.isFixed,
      complete: this.complete,
      state: this.left.get(path),
      changed: (text) => {
        counted(text);
        this.draft.change((content) => {
          channelsOf(content, this.locale)[this.channel][part.name] = text;
        });
      },
      focused: (which) => {
        this.active = which;
      },
    });
    source.path = path;
    this.sources.set(part.name, source);
    return h("div", { class: "ed-part", "data-part": part.name },
      h("div", { class: "ed-part-head" },
        h("span", { class: "ed-part-label" }, part.label, part.is_needed ? h("span", { class: "ed-needed" }, "needed") : null),
        part.hint ? h("span", { class: "ed-hint" }, part.hint) : null,
        isBody ? this.bodyTools(part) : null,
        count),
      editor,
      said);
  }

  bodyTools(part) {
    if (this.isFixed) return h("span", { class: "ed-hint" }, part.name.toUpperCase());
    const kinds = h("span", { class: "ed-choice", role: "group", "aria-label": "Written in" },
      ["mjml", "html"].map((kind) => h("button", {
        type: "button", value: kind, "aria-pressed": String(kind === part.name), onclick: () => this.switchBody(kind),
      }, kind.toUpperCase())));
    return h("span", { class: "ed-part-tools" },
      h("button", { type: "button", class: "ed-quiet", onclick: () => this.dispatchEvent(new Event("import")) }, "Import HTML"),
      kinds);
  }

  // The source of the other kind is kept aside until it is asked for again.
  switchBody(kind) {
    const from = this.bodyKind;
    if (kind === from) return;
    const place = `${this.locale}/${this.channel}/`;
    this.bodies.set(place + from, this.parts[from] ?? "");
    this.draft.change((content) => {
      const parts = channelsOf(content, this.locale)[this.channel];
      delete parts[from];
      parts[kind] = this.bodies.get(place + kind) ?? "";
    });
    this.showParts();
    this.sources.get(kind)?.focus();
  }

  setBody({ subject, html, text }) {
    const from = this.bodyKind;
    this.bodies.set(`${this.locale}/${this.channel}/${from}`, this.parts[from] ?? "");
    this.draft.change((content) => {
      const parts = channelsOf(content, this.locale)[this.channel];
      delete parts.mjml;
      parts.html = html;
      if (text) parts.text = text;
      if (subject && !parts.subject?.trim()) parts.subject = subject;
    });
    this.showParts();
  }

  // The problems of the last preview: at their places, and as numbers on the tabs.
  told(problems) {
    this.problems = problems;
    this.showTabs();
    this.mark();
  }

  mark() {
    for (const [part, source] of this.sources) {
      const own = this.problems.filter((each) =>
        each.locale === this.locale && each.channel === this.channel && each.part === part);
      source.mark(own.filter(({ line }) => line));
      const box = source.view.dom.closest(".ed-part");
      box.classList.toggle("ed-part-wrong", own.some(({ severity }) => severity === "error"));
      $(".ed-said", box).replaceChildren(...own.map(({ message, severity }) =>
        h("span", { class: severity === "error" ? "ed-said-error" : "ed-said-remark" }, message)));
    }
  }

  insert(text) {
    const source = this.active ?? [...this.sources.values()].at(-1);
    if (!source || this.isFixed) return;
    source.insert(text);
  }
}

function marked(count) {
  return count ? h("span", { class: "ed-mark", title: "Errors" }, String(count)) : null;
}

function empty(title, text) {
  return h("div", { class: "ed-empty" }, h("h2", {}, title), h("p", {}, text));
}
