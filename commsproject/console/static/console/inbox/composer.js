// Where staff write: a reply that goes as the person came, or a note for the team; what a reply answers,
// or which message it is to change.

import { get, options, post, reason } from "./api.js";
import { key, make, MEDIA, part } from "./dom.js";
import * as drafts from "./drafts.js";
import { takeDrops } from "./drop.js";
import { Files } from "./files.js";

export class Composer {
  #draft;
  #isTooLong = false;

  constructor({ thread, client, held, picker }) {
    this.thread = thread;
    this.client = client;
    this.held = held;
    this.picker = picker;
    this.mode = "reply";
    this.files = new Files({ client, thread, told: (id, text) => id === thread.id && this.trouble(text) });
    this.listen(part("composer"), part("body"));
    takeDrops({ isTaken: () => options.mayAnswer && this.thread.id, took: (files) => this.add(files) });
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
      tab.addEventListener("click", () => this.turn(tab.dataset.mode));
      tab.addEventListener("keydown", (event) => {
        if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.to(this.mode === "reply" ? "note" : "reply", "tab");
      });
    }
    part("way").addEventListener("change", () => this.choose());
    part("attach").addEventListener("click", () => part("file").click());
    part("file").addEventListener("change", (event) => {
      event.stopImmediatePropagation(); // the theme's listener looks for a field that goes with its own
      this.add(event.target.files);
      event.target.value = "";
    });
    part("canned").addEventListener("click", () => this.canned());
    part("quoted-cancel").addEventListener("click", () => this.cancel());
    addEventListener("pagehide", () => form.hidden || this.edited || !body.value || this.keep()); // over what another tab has begun
    drafts.follow((draft) => this.elsewhere(draft));
  }

  /** Files go with a reply alone: a note never becomes one by what is pasted. */
  add(files) {
    if (!files.length) return;
    if (this.takesFiles) this.files.add(files);
    else this.trouble(this.noFiles);
  }

  get takesFiles() {
    return this.mode === "reply" && !this.edited;
  }

  get noFiles() {
    return this.mode === "note" ? "Notes take no files." : "A message that is changed takes no files.";
  }

  // --- Its state -----------------------------------------------------------------------------

  /** The thread has another conversation. */
  open() {
    this.to("reply");
  }

  get medium() {
    return part("way").value || "chat";
  }

  /** What is changed, where a reply is not written. */
  get edited() {
    return this.mode === "reply" ? drafts.editOf(this.thread.id) : undefined;
  }

  /** What is written here; another tab may have begun something else. */
  get draft() {
    return this.#draft;
  }

  set draft(draft) {
    this.#draft = drafts.keep(this.thread.id, this.mode, draft);
  }

  /** Another tab has gone on with what is written here, or sent it; or its own has gone from its place. */
  elsewhere({ conversation, mode, is, was }) {
    if (part("composer").hidden || conversation !== this.thread.id || mode !== this.mode || this.edited) return;
    if ((is ?? was)?.id === this.draft.id) this.to(mode);
    else if (!is) this.draft = this.draft;
  }

  /** A note that was begun never becomes a reply: each has a draft of its own. */
  to(mode, focus = false) {
    this.mode = mode;
    this.#draft = drafts.read(this.thread.id, mode);
    part("body").value = (this.edited ?? this.draft).text;
    this.trouble("");
    this.checkLength();
    this.fit();
    this.draw();
    if (focus === "tab") part("composer").querySelector(`[data-mode=${mode}]`).focus();
    else if (focus) part("body").focus();
  }

  /** Whoever is there already goes on with what is here. */
  turn(mode) {
    if (mode === this.mode) part("body").focus();
    else this.to(mode, true);
  }

  answer(entry) {
    drafts.endEdit(this.thread.id);
    this.to("reply");
    const { id, seq, author } = entry;
    this.draft = { ...this.draft, about: { id, seq, author, excerpt: excerptOf(entry) } };
    this.to("reply", true);
  }

  edit(entry, text = entry.body) {
    drafts.keepEdit({ entry, text });
    this.to("reply", true);
  }

  cancel() {
    if (this.edited) drafts.endEdit(this.thread.id);
    else this.draft = { ...this.draft, about: null };
    this.to("reply", true);
  }

  /** A reply or note that was refused: to be changed. What was begun meanwhile comes after it. */
  takeBack({ id, isNote, asked, files, about }) {
    drafts.endEdit(this.thread.id);
    this.to(isNote ? "note" : "reply");
    const text = [asked.body, this.draft.text].filter(Boolean).join("\n\n");
    this.draft = { ...this.draft, text, about: about ?? this.draft.about, medium: asked.medium, came: this.came };
    this.files.putBack(files);
    this.held.remove(id);
    this.to(this.mode, true);
  }

  draw() {
    const isNote = this.mode === "note", { edited } = this;
    this.drawWays();
    part("composer").classList.toggle("inbox-is-note", isNote);
    for (const tab of part("composer").querySelectorAll("[data-mode]")) {
      tab.setAttribute("aria-selected", tab.dataset.mode === this.mode);
      tab.tabIndex = tab.dataset.mode === this.mode ? 0 : -1;
    }
    for (const name of ["way-box", "attach", "canned", "files"]) part(name).hidden = !this.takesFiles;
    part("drop").textContent = this.takesFiles ? "Drop files to attach them" : this.noFiles;
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

  // --- How it goes ---------------------------------------------------------------------------

  /** The medium by which the person came last. */
  get came() {
    return this.thread.ways[0].medium;
  }

  /** As they came last; what is begun, or chosen, goes as it was meant to. */
  drawWays() {
    const { ways } = this.thread, box = part("way");
    const { medium, came } = this.draft;
    const made = ways.map((one) => make("option", { value: one.medium }, one.address ? `${one.label} to ${one.address}` : one.label));
    if (made.map((one) => one.label).join() !== [...box.options].map((one) => one.label).join()) box.replaceChildren(...made);
    box.value = ways.some((one) => one.medium === medium) ? medium : this.came;
    const isElsewhere = this.takesFiles && came && came !== this.came && box.value !== this.came;
    const by = (name) => MEDIA[name][1].toLowerCase();
    part("came").hidden = !isElsewhere;
    part("came").textContent = isElsewhere ? `They wrote by ${by(this.came)} since: this goes by ${by(box.value)}.` : "";
  }

  choose() {
    this.draft = { ...this.draft, medium: this.medium, came: this.came };
    this.draw();
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
    this.checkLength();
    if (this.mode === "reply" && !this.edited && this.medium === "chat" && part("body").value) this.client.typing(this.thread.id);
  }

  keep() {
    const text = part("body").value;
    if (this.edited) drafts.keepEdit({ ...this.edited, text });
    else if (this.mode === "note") this.draft = { ...this.draft, text };
    else {
      const isMeant = text || this.medium !== this.came;
      const way = isMeant ? { medium: this.medium, came: this.draft.came ?? this.came } : { medium: undefined, came: undefined };
      this.draft = { ...this.draft, text, ...way };
    }
  }

  /** What is to be said of the length of what is written, as the service counts it. */
  get tooLong() {
    const { value } = part("body"), most = options.maxLength;
    const over = value.length > most ? [...value].length - most : 0;
    return over > 0 ? `A message has at most ${most.toLocaleString()} letters: ${over.toLocaleString()} too many.` : "";
  }

  checkLength() {
    const text = this.tooLong;
    if (text || this.#isTooLong) this.trouble(text);
    this.#isTooLong = Boolean(text);
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
    if (this.tooLong) return;
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
    this.held.add({ conversation: this.thread.id, isNote, asked, files, about });
    this.thread.toEnd().catch(() => {}); // what is newer can be asked for again
  }

  /** What was written is as it was afterwards; where it cannot be changed it stays here. */
  async save(edited, body) {
    const { entry } = edited;
    if (!body) return;
    try {
      const changed = body === entry.body ? entry : await post(`${entry.conversation}/edit`, { entry: entry.id, body });
      if (drafts.editOf(entry.conversation) === edited) drafts.endEdit(entry.conversation);
      if (this.thread.id !== entry.conversation) return;
      this.thread.take(changed);
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
