// Where staff write: a reply that goes as the person came, or a note for the team; what a reply answers,
// or which message it is to change.

import { get, options, post, reason } from "./api.js";
import { key, make, MEDIA, part } from "./dom.js";
import * as drafts from "./drafts.js";
import { Files } from "./files.js";

export class Composer {
  constructor({ thread, client, held, picker }) {
    this.thread = thread;
    this.client = client;
    this.held = held;
    this.picker = picker;
    this.mode = "reply";
    this.edits = new Map(); // conversation -> {entry, text}
    this.files = new Files({ client, thread, told: (id, text) => id === thread.id && this.trouble(text) });
    this.listen(part("composer"), part("body"));
    this.dropping();
  }

  listen(form, body) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    body.addEventListener("keydown", (event) => this.pressed(event));
    body.addEventListener("input", () => this.written());
    body.addEventListener("paste", ({ clipboardData }) => this.add(clipboardData.files));
    for (const tab of form.querySelectorAll("[data-mode]")) {
      tab.addEventListener("click", () => this.to(tab.dataset.mode, true));
      tab.addEventListener("keydown", (event) => {
        if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.to(this.mode === "reply" ? "note" : "reply", "tab");
      });
    }
    part("way").addEventListener("change", () => this.draw());
    part("attach").addEventListener("click", () => part("file").click());
    part("file").addEventListener("change", (event) => {
      event.stopImmediatePropagation(); // the theme's listener looks for a field that goes with its own
      this.add(event.target.files);
      event.target.value = "";
    });
    part("canned").addEventListener("click", () => this.canned());
    part("quoted-cancel").addEventListener("click", () => this.cancel());
    addEventListener("pagehide", () => form.hidden || !body.value || this.keep()); // over what another tab has
  }

  dropping() {
    const place = part("thread");
    let depth = 0;
    const isFiles = (event) => options.mayAnswer && this.thread.id && event.dataTransfer?.types.includes("Files");
    place.addEventListener("dragenter", (event) => {
      if (!isFiles(event)) return;
      depth += 1;
      part("drop").hidden = false;
    });
    place.addEventListener("dragover", (event) => isFiles(event) && event.preventDefault());
    place.addEventListener("dragleave", (event) => {
      if (isFiles(event) && (depth -= 1) <= 0) part("drop").hidden = true;
    });
    place.addEventListener("drop", (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      depth = 0;
      part("drop").hidden = true;
      this.add(event.dataTransfer.files);
    });
  }

  add(files) {
    if (!files.length) return;
    if (this.mode === "note") this.to("reply");
    this.files.add(files);
  }

  // --- Its state -----------------------------------------------------------------------------

  /** The thread has another conversation. */
  open() {
    part("way").replaceChildren(
      ...this.thread.ways.map(({ medium, label, address }) => make("option", { value: medium }, address ? `${label} to ${address}` : label)),
    );
    this.trouble("");
    this.to("reply");
  }

  get medium() {
    return part("way").value || "chat";
  }

  /** What is changed, where a reply is not written. */
  get edited() {
    return this.mode === "reply" ? this.edits.get(this.thread.id) : undefined;
  }

  get draft() {
    return drafts.read(this.thread.id, this.mode);
  }

  set draft(draft) {
    drafts.keep(this.thread.id, this.mode, draft);
  }

  /** A note that was begun never becomes a reply: each has a draft of its own. */
  to(mode, focus = false) {
    this.mode = mode;
    part("body").value = (this.edited ?? this.draft).text;
    this.fit();
    this.draw();
    if (focus === "tab") part("composer").querySelector(`[data-mode=${mode}]`).focus();
    else if (focus) part("body").focus();
  }

  answer(entry) {
    this.edits.delete(this.thread.id);
    this.mode = "reply";
    const { id, seq, author } = entry;
    this.draft = { ...this.draft, about: { id, seq, author, excerpt: excerptOf(entry) } };
    this.to("reply", true);
  }

  edit(entry, text = entry.body) {
    this.edits.set(this.thread.id, { entry, text });
    this.to("reply", true);
  }

  cancel() {
    if (!this.edits.delete(this.thread.id)) this.draft = { ...this.draft, about: null };
    this.to("reply", true);
  }

  /** A reply or note that was refused: to be changed. What was begun meanwhile comes after it. */
  takeBack({ id, isNote, asked, files, about }) {
    this.mode = isNote ? "note" : "reply";
    this.edits.delete(this.thread.id);
    this.draft = { text: [asked.body, this.draft.text].filter(Boolean).join("\n\n"), about: about ?? this.draft.about };
    this.files.putBack(files);
    this.held.remove(id);
    this.to(this.mode, true);
  }

  draw() {
    const isNote = this.mode === "note", { edited } = this;
    part("composer").classList.toggle("inbox-is-note", isNote);
    for (const tab of part("composer").querySelectorAll("[data-mode]")) {
      tab.setAttribute("aria-selected", tab.dataset.mode === this.mode);
      tab.tabIndex = tab.dataset.mode === this.mode ? 0 : -1;
    }
    for (const name of ["way-box", "attach", "canned", "files"]) part(name).hidden = isNote || Boolean(edited);
    const by = MEDIA[this.medium][1].toLowerCase();
    part("body").placeholder = isNote ? "Only the team sees this" : `Reply by ${by}`;
    part("label").textContent = isNote ? "Internal note" : edited ? "What the message says" : "Reply";
    part("send").textContent = isNote ? "Add note" : edited ? "Save" : "Send";
    const sends = edited ? "saves" : "sends";
    part("hint").textContent = this.sendsByEnter ? `Enter ${sends}, Shift + Enter makes a line` : "Ctrl + Enter sends";
    this.drawQuoted(edited?.entry, isNote ? null : this.draft.about);
    this.files.draw();
  }

  drawQuoted(edited, answered) {
    part("quoted").hidden = !edited && !answered;
    if (part("quoted").hidden) return;
    part("quoted-title").textContent = edited ? "Edit your message" : `Reply to ${this.thread.nameOf(key(answered.author))}`;
    part("quoted-text").textContent = edited ? excerptOf(edited) : answered.excerpt;
  }

  /** As in the chat; an email and a note have paragraphs. */
  get sendsByEnter() {
    return this.mode === "reply" && (this.edited || this.medium !== "email");
  }

  pressed(event) {
    const { value } = part("body");
    const isEmptyReply = this.mode === "reply" && !this.edited && !value;
    if (event.isComposing) return;
    if (event.key === "Escape") this.escape();
    else if (event.key === "/" && isEmptyReply) {
      event.preventDefault();
      this.canned("/");
    } else if (event.key === "ArrowUp" && isEmptyReply) {
      const last = this.thread.seqs().map((seq) => this.thread.entries.get(seq)).findLast((one) => this.thread.mayChange(one));
      if (!last) return;
      event.preventDefault();
      this.edit(last);
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || (this.sendsByEnter && !event.shiftKey))) {
      event.preventDefault();
      this.send();
    }
  }

  /** Out of what is edited or answered first, then out of the field. */
  escape() {
    if (part("quoted").hidden) part("scroll").focus();
    else this.cancel();
  }

  written() {
    this.keep();
    this.fit();
    if (this.mode === "reply" && !this.edited && this.medium === "chat" && part("body").value) this.client.typing(this.thread.id);
  }

  keep() {
    const text = part("body").value;
    if (this.edited) this.edited.text = text;
    else this.draft = { ...this.draft, text };
  }

  fit() {
    const box = part("body");
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }

  trouble(text) {
    part("trouble").textContent = text;
    part("trouble").hidden = !text;
  }

  // --- Canned replies ------------------------------------------------------------------------

  /** `typed` opened it: with what follows it is a text of its own where no reply is called so. */
  canned(typed = "") {
    const { id } = this.thread;
    this.picker.open({
      title: "Canned replies",
      none: 'There is none yet. A reply is a template of the kind "reply" with the words of a text message.',
      items: get(`${id}/replies`).then(({ results }) => results.map(({ key: place, ...one }) => ({ id: place, ...one }))),
      isLoose: typed !== "",
      chosen: ({ text }) => this.insert(text),
      left: (rest) => typed && this.insert(typed + rest),
      failed: (error) => this.trouble(reason(error)),
    });
  }

  insert(text) {
    const box = part("body");
    box.focus();
    box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
    const blank = box.value.search(/\[[\w.]+\]/);
    if (blank >= 0) box.setSelectionRange(blank, box.value.indexOf("]", blank) + 1);
    this.written();
  }

  // --- Sending -------------------------------------------------------------------------------

  send() {
    const body = part("body").value.trim(), isNote = this.mode === "note";
    if (this.edited) {
      this.save(this.edited, body);
      return;
    }
    if (!isNote && !this.files.areReady) {
      this.trouble("A file is still on its way.");
      return;
    }
    const files = isNote ? [] : this.files.take();
    if (!body && !files.length) return;
    const { about } = isNote ? {} : this.draft;
    const asked = isNote ? { body } : { body, medium: this.medium, attachments: files.map((one) => one.id), ...(about && { reply_to: about.id }) };
    this.draft = { text: "", about: null };
    this.to("reply", true);
    this.trouble("");
    this.held.add({ conversation: this.thread.id, isNote, asked, files, about });
    this.thread.toEnd().catch(() => {}); // what is newer can be asked for again
  }

  /** What was written is as it was afterwards; where it cannot be changed it stays here. */
  async save(edited, body) {
    const { entry } = edited;
    if (!body) return;
    try {
      const changed = body === entry.body ? entry : await post(`${entry.conversation}/edit`, { entry: entry.id, body });
      if (this.edits.get(entry.conversation) === edited) this.edits.delete(entry.conversation);
      if (this.thread.id !== entry.conversation) return;
      this.thread.take(changed);
      this.trouble("");
      this.to(this.mode);
    } catch (error) {
      if (this.thread.id === entry.conversation) this.trouble(reason(error));
    }
  }
}

function excerptOf({ body, attachments }) {
  const words = body.replace(/\s+/g, " ").trim().slice(0, 120);
  return words || attachments.map((one) => one.name).join(", ");
}
