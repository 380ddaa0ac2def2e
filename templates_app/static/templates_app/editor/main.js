// The template editor. Its parts know the draft; this file knows the parts.

import { Failure, SessionEnded, post } from "./api.js";
import { completions } from "./complete.js";
import { $, ask, confirmed, h } from "./dom.js";
import { Draft, merged } from "./draft.js";
import { Preview } from "./preview.js";
import { Samples } from "./samples.js";
import { choice, tabs } from "./tabs.js";
import { Variables } from "./variables.js";
import { Write, languageName } from "./write.js";

const given = JSON.parse($("#ed-state").textContent);
const draft = new Draft(given.id, given);
const samples = new Samples({ given, draft });
const complete = completions(() => ({
  schema: samples.schema,
  filters: given.filters.map(({ name, about }) => ({ label: name, detail: about })),
  partials: given.partials.map((label) => ({ label })),
}));
const write = new Write({ given, draft, complete });
const preview = new Preview({ given, draft, samples });
const variables = new Variables({ given, draft, samples, insert });
let stored = given;
let isBusy = false;

// What belongs together

function moved() {
  preview.channel = write.channel;
  preview.reader = write.locale || draft.content.locale;
  showReaders();
  preview.refreshSoon();
  preview.show();
}

function showReaders() {
  const select = $("#ed-reader");
  const own = draft.content.locale;
  const tags = [...new Set([own, ...Object.keys(draft.content.translations), ...draft.content.samples.map(({ locale }) => locale), preview.reader])];
  select.replaceChildren(...tags.filter((tag, place) => tag || place === 0).map((tag) =>
    h("option", { value: tag, selected: tag === preview.reader }, tag ? languageName(tag) : "own language")));
}

write.addEventListener("moved", moved);
write.addEventListener("import", importHtml);
preview.addEventListener("rendered", () => {
  write.told(preview.problems);
  heardOfOthers(preview.result);
  showStatus();
});
preview.addEventListener("goto", ({ detail }) => {
  pane("write");
  write.open(detail);
});
preview.addEventListener("session", ({ detail }) => sessionEnded(detail));
samples.addEventListener("chosen", () => {
  if (samples.current?.locale) preview.reader = samples.current.locale;
  showReaders();
  preview.refreshSoon();
});
samples.addEventListener("changed", () => preview.refreshSoon());
$("#ed-reader").addEventListener("change", ({ target }) => {
  preview.reader = target.value;
  preview.refresh();
});

draft.addEventListener("changed", () => {
  preview.refreshSoon();
  showStatus();
});
draft.addEventListener("saved", showStatus);
draft.addEventListener("replaced", () => {
  samples.show();
  write.show();
  variables.show();
  showStatus();
});

document.addEventListener("click", ({ target }) => {
  const text = target.closest("#ed-help [data-insert]")?.dataset.insert;
  if (text) insert(text);
});

function insert(text) {
  pane("write");
  write.insert(text);
}

// Status

function showStatus() {
  const badge = $("#ed-standing");
  badge.textContent = stored.badge.text;
  badge.className = `comms-badge comms-badge-${stored.badge.tone}`;
  $("#ed-status").textContent = statusText();
  $("#ed-status").dataset.changed = String(draft.isChanged);
  if (!given.may_change) return;
  $("#ed-save").disabled = isBusy || !draft.isChanged;
  $("#ed-publish").disabled = isBusy || (!draft.isChanged && !stored.is_draft);
}

function statusText() {
  if (isBusy) return "Saving";
  if (draft.isChanged) return "Not saved yet";
  return given.may_change ? "All is saved" : "To look at";
}

// One line of each kind above the panes, with what can be done about it.
function tell(kind, tone, text, actions = [], list = []) {
  quiet(kind);
  $("#ed-alerts").append(h("div", { class: `ed-alert ed-alert-${tone}`, "data-kind": kind },
    h("div", { class: "ed-alert-words" }, h("p", {}, text), list.length ? h("ul", {}, list.map((line) => h("li", {}, line))) : null),
    h("div", { class: "ed-alert-actions" },
      actions.map(([label, act]) => h("button", { type: "button", class: "comms-button", onclick: () => act() }, label)),
      h("button", { type: "button", class: "ed-quiet", onclick: () => quiet(kind) }, "Close"))));
}

function quiet(kind) {
  $(`#ed-alerts [data-kind=${kind}]`)?.remove();
}

function sessionEnded(error) {
  tell("session", "bad", error.message, [["Sign in", () => window.open(given.urls.login, "_blank")]]);
}

function failed(error, what) {
  if (!(error instanceof Failure)) throw error;
  if (error instanceof SessionEnded) return sessionEnded(error);
  if (error.problem.theirs) return conflict(error.problem);
  const lines = error.errors.map(({ field, message }) => `${named(field)}${message}`);
  tell("failure", "bad", lines.length > 1 ? `${what} ${lines.length} errors:` : `${what} ${lines[0] ?? error.message}`, [], lines.length > 1 ? lines : []);
  preview.refresh();
  return undefined;
}

function named(field) {
  const [kind, ...rest] = field.split(".");
  const locale = kind === "translations" ? rest.shift() : "";
  const spec = given.channels.find(({ name }) => name === rest[0]);
  if (!spec) return "";
  const part = spec.parts.find(({ name }) => name === rest[1])?.label.toLowerCase() ?? "";
  return `${[spec.label, part, locale && `(${locale})`].filter(Boolean).join(" ")}: `;
}

// Saving and publishing

async function save() {
  if (isBusy || !given.may_change) return false;
  if (!draft.isChanged) return true;
  isBusy = true;
  showStatus();
  const sent = structuredClone(draft.content);
  try {
    stored = await post(given.urls.draft, { stamp: draft.stamp, content: sent });
    draft.saved(stored, sent);
    for (const kind of ["failure", "conflict", "session", "kept", "others"]) quiet(kind);
    if (samples.broken.size) {
      tell("failure", "warn", `Saved, but the data of ${[...samples.broken.keys()].join(", ")} are not JSON: of these the last state that was is saved.`);
    }
    return true;
  } catch (error) {
    failed(error, "Not saved.");
    return false;
  } finally {
    isBusy = false;
    showStatus();
  }
}

async function publish() {
  await preview.refresh();
  const errors = preview.problems.filter(({ severity }) => severity === "error" );
  const remarks = preview.problems.filter(({ severity }) => severity === "warning").length;
  if (!(await save())) return;
  const text = errors.length
    ? "The preview shows errors. Publishing tries every language, channel and sample and says what is wrong."
    : `New messages use it from now on; those on their way keep the version they have.${remarks ? ` There ${remarks === 1 ? "is one remark" : `are ${remarks} remarks`} below the preview.` : ""}`;
  if (!(await confirmed({ title: `Publish v${stored.number}?`, text, button: "Publish" }))) return;
  isBusy = true;
  showStatus();
  try {
    stored = await post(given.urls.publish, { stamp: draft.stamp });
    draft.saved(stored, structuredClone(draft.content));
    tell("published", "good", `v${stored.in_use} is published: new messages use it from now on.`);
    quiet("failure");
  } catch (error) {
    failed(error, "Not published.");
  } finally {
    isBusy = false;
    showStatus();
  }
}

// Two who write at once

function heardOfOthers(result) {
  if (!result || result.stamp === draft.stamp || isBusy || !given.may_change) return;
  if (!draft.isChanged) {
    tell("others", "warn", `${result.author || "Somebody"} has saved this template in the meantime.`, [["Show it", () => location.reload()]]);
    return;
  }
  tell("others", "warn", `${result.author || "Somebody"} has saved this template since you opened it. Saving will ask what to keep.`);
}

function conflict({ theirs, detail }) {
  const { content, clashes } = merged(draft.base, draft.content, theirs.content);
  const both = clashes.length
    ? `Both of you changed: ${clashes.map((path) => named(path).replace(/: $/, "") || path).join(", ")}; there yours stays.`
    : "You changed different parts, so both fit together.";
  quiet("others");
  tell("conflict", "warn", `${detail} ${both}`, [
    ["Keep both", () => {
      stored = theirs;
      draft.stamp = theirs.stamp;
      draft.base = structuredClone(theirs.content);
      draft.replace(content);
      quiet("conflict");
      save();
    }],
    ["Throw mine away", async () => {
      const text = "What you changed since you opened the template is lost.";
      if (!(await confirmed({ title: "Throw your changes away?", text, button: "Throw away", danger: true }))) return;
      stored = theirs;
      draft.reset(theirs);
      draft.forget();
      quiet("conflict");
    }],
  ]);
}

function offerKept() {
  const copy = draft.kept();
  if (!copy || !given.may_change) return;
  const when = new Date(copy.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  tell("kept", "warn", `This browser has changes of ${when} that were not saved.`, [
    ["Take them up", () => {
      const theirs = draft.content;
      const mine = copy.stamp === draft.stamp ? copy.content : merged(copy.base, copy.content, theirs).content;
      draft.replace(mine);
      quiet("kept");
    }],
    ["Forget them", () => {
      draft.forget();
      quiet("kept");
    }],
  ]);
}

window.addEventListener("beforeunload", (event) => {
  if (draft.isChanged) event.preventDefault();
});

// Dialogs

function refused(dialog, message) {
  const box = $("[data-error]", dialog);
  box.textContent = message;
  box.hidden = !message;
}

// Asks until `act` gives no message.
async function asked(dialog, act) {
  refused(dialog, "");
  while ((await ask(dialog)) === "yes") {
    const message = await act(new FormData($("form", dialog)));
    if (!message) return;
    refused(dialog, message);
  }
}

function settings() {
  const dialog = $("#ed-settings-dialog");
  const { name, locale, layout, null_is, hosted } = draft.content;
  const form = $("form", dialog);
  const layouts = [...new Set(["", ...given.layouts, layout])];
  form.layout.replaceChildren(...layouts.map((key) => h("option", { value: key }, key || "none")));
  form.layout.closest("label").hidden = given.kind !== "message";
  form.elements.name.value = name;
  form.locale.value = locale;
  form.layout.value = layout;
  form.null_is.value = null_is;
  form.hosted.value = Object.keys(hosted).length ? JSON.stringify(hosted, null, 2) : "";
  for (const field of form.querySelectorAll("input, select, textarea")) field.disabled = !given.may_change;
  asked(dialog, (values) => {
    let kept;
    try {
      kept = JSON.parse(values.get("hosted") || "{}");
    } catch {
      return "What providers keep is not JSON.";
    }
    draft.change((content) => Object.assign(content, {
      name: values.get("name").trim(),
      locale: values.get("locale"),
      layout: values.get("layout") ?? "",
      null_is: values.get("null_is"),
      hosted: kept,
    }));
    $(".ed-title h1").textContent = draft.content.name;
    write.show();
    return "";
  });
}

function addLocale() {
  const dialog = $("#ed-locale-dialog");
  $("form", dialog).reset();
  asked(dialog, (values) => {
    const tag = values.get("locale");
    if (tag === draft.content.locale) return "It is written in this language already.";
    if (tag in draft.content.translations) return "There is a translation of this language.";
    write.addLocale(tag);
    return "";
  });
}

function importHtml() {
  const dialog = $("#ed-import-dialog");
  const form = $("form", dialog);
  form.reset();
  form.file.onchange = async () => {
    form.html.value = (await form.file.files[0]?.text()) ?? "";
  };
  asked(dialog, async (values) => {
    try {
      const { notices, ...parts } = await post(given.urls.import, { html: values.get("html") });
      write.setBody(parts);
      tell("imported", notices.length ? "warn" : "good", ["Imported.", ...notices].join(" "));
      return "";
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return error.message;
    }
  });
}

const ADDRESSES = {
  email: ["An email address", "email"],
  sms: ["A phone number, such as +4930123456", "tel"],
  push: ["A person's user ID: it goes to their devices", "text"],
  inapp: ["A person's user ID", "text"],
};

function testSend() {
  const dialog = $("#ed-test-dialog");
  const [label, type] = ADDRESSES[write.channel];
  $("[data-label]", dialog).textContent = label;
  $("form", dialog).to.type = type;
  asked(dialog, async (values) => {
    if (!(await save())) return "The draft could not be saved.";
    try {
      const { detail } = await post(given.urls.test, {
        channel: write.channel, to: values.get("to"), data: samples.data, locale: preview.reader,
      });
      tell("sent", "good", detail);
      return "";
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return error.message;
    }
  });
}

// Panes, buttons, keys

const showPane = choice($("#ed-switch"), "write", pane);

function pane(name) {
  $("#ed-panes").dataset.shown = name;
  showPane(name);
  preview.fit();
}

function dataTab(chosen) {
  const items = [["variables", "Variables"], ["samples", "Samples"], ["help", "Help"]].map(([id, label]) => ({ id, label }));
  tabs($("#ed-data-tabs"), items, chosen, dataTab);
  for (const { id } of items) $(`#ed-${id}`).hidden = id !== chosen;
}

$("#ed-settings").addEventListener("click", settings);
$("#ed-add-locale")?.addEventListener("click", addLocale);
$("#ed-save")?.addEventListener("click", save);
$("#ed-publish")?.addEventListener("click", publish);
$("#ed-test")?.addEventListener("click", testSend);
if (!given.urls.test) $("#ed-test")?.remove();
document.addEventListener("keydown", (event) => {
  if (event.key === "s" && (event.ctrlKey || event.metaKey) && !event.altKey) {
    event.preventDefault();
    save();
  }
});

dataTab("variables");
moved();
showStatus();
offerKept();
preview.refresh();
