// What staff write: a reply that goes as the person came, or a note for the team. Drafts stay with
// their conversation, what could not be sent stays in the thread.

import { get, options, post, upload } from "./api.js";
import { make, MEDIA, now, part } from "./dom.js";

const HELD_MS = 5000;
const MOST_TRIES = 5;

const newId = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;

export class Composer {
  constructor({ thread, client }) {
    this.thread = thread;
    this.client = client;
    this.mode = "reply";
    this.uploads = new Map(); // conversation -> its files that are not sent yet
    this.held = [];
    const form = part("composer"), body = part("body");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    body.addEventListener("keydown", (event) => this.pressed(event));
    body.addEventListener("input", () => this.written());
    body.addEventListener("paste", ({ clipboardData }) => this.add(clipboardData.files));
    for (const tab of form.querySelectorAll("[data-mode]")) {
      tab.addEventListener("click", () => this.to(tab.dataset.mode, true));
      tab.addEventListener("keydown", ({ key }) => {
        if (key === "ArrowLeft" || key === "ArrowRight") this.to(this.mode === "reply" ? "note" : "reply", "tab");
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
    part("canned-search").addEventListener("input", () => this.drawCanned());
    part("canned-search").addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        part("canned-list").querySelector("button")?.click();
      }
    });
    this.dropping();
    client.on("state", ({ state }) => state === "live" && this.sendHeld());
    addEventListener("beforeunload", (event) => {
      if (this.held.length || [...this.uploads.values()].flat().some((one) => !one.id)) event.preventDefault();
    });
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

  // --- Its state -----------------------------------------------------------------------------

  /** The thread has another conversation. */
  open() {
    part("way").replaceChildren(
      ...this.thread.ways.map(({ medium, label, address }) => make("option", { value: medium }, address ? `${label} to ${address}` : label)),
    );
    this.trouble("");
    this.to("reply");
  }

  get files() {
    return this.uploads.get(this.thread.id) ?? [];
  }

  get draftKey() {
    return `inbox-draft:${options.me.id}:${this.thread.id}:${this.mode}`;
  }

  get medium() {
    return part("way").value || "chat";
  }

  /** A note that was begun never becomes a reply: each has a draft of its own. */
  to(mode, focus = false) {
    this.mode = mode;
    part("body").value = sessionStorage.getItem(this.draftKey) ?? "";
    this.fit();
    this.draw();
    if (focus === "tab") part("composer").querySelector(`[data-mode=${mode}]`).focus();
    else if (focus) part("body").focus();
  }

  draw() {
    const isNote = this.mode === "note";
    part("composer").classList.toggle("inbox-is-note", isNote);
    for (const tab of part("composer").querySelectorAll("[data-mode]")) {
      tab.setAttribute("aria-selected", tab.dataset.mode === this.mode);
      tab.tabIndex = tab.dataset.mode === this.mode ? 0 : -1;
    }
    for (const name of ["way-box", "attach", "canned", "files"]) part(name).hidden = isNote;
    const by = MEDIA[this.medium][1].toLowerCase();
    part("body").placeholder = isNote ? "Only the team sees this" : `Reply by ${by}`;
    part("label").textContent = isNote ? "Internal note" : "Reply";
    part("send").textContent = isNote ? "Add note" : "Send";
    part("hint").textContent = this.sendsByEnter ? "Enter sends, Shift + Enter makes a line" : "Ctrl + Enter sends";
    part("files").replaceChildren(...this.files.map((one) => this.chip(one)));
  }

  /** As in the chat; an email and a note have paragraphs. */
  get sendsByEnter() {
    return this.mode === "reply" && this.medium !== "email";
  }

  pressed(event) {
    if (event.key === "Escape") part("scroll").focus();
    if (event.key === "/" && this.mode === "reply" && !part("body").value) {
      event.preventDefault();
      this.canned();
    }
    if (event.key !== "Enter" || event.isComposing) return;
    const isSent = event.ctrlKey || event.metaKey || (this.sendsByEnter && !event.shiftKey);
    if (isSent) {
      event.preventDefault();
      this.send();
    }
  }

  written() {
    const { value } = part("body");
    if (value) sessionStorage.setItem(this.draftKey, value);
    else sessionStorage.removeItem(this.draftKey);
    this.fit();
    if (this.mode === "reply" && this.medium === "chat" && value) this.client.typing(this.thread.id);
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

  // --- Files ---------------------------------------------------------------------------------

  add(files) {
    if (this.mode === "note" && files.length) this.to("reply");
    const conversation = this.thread.id;
    for (const file of files) {
      if (file.size > options.maxSize) {
        this.trouble(`${file.name} is larger than ${Math.floor(options.maxSize / 2 ** 20)} MB.`);
        continue;
      }
      const one = { name: file.name || "Picture", conversation, done: 0, tries: 0 };
      this.uploads.set(conversation, [...this.files, one]);
      this.upload(one, file);
    }
    this.draw();
  }

  /** What does not get through is tried again: until there is a line, and then for a minute. */
  async upload(one, file) {
    const { conversation } = one;
    try {
      const made = await upload(`${conversation}/upload`, file, (done) => {
        one.done = done;
        if (one.bar) one.bar.value = done;
      });
      Object.assign(one, { id: made.id, name: made.name });
    } catch (error) {
      if (!this.has(one)) return;
      if (error.status === 0 && one.tries < MOST_TRIES) {
        if (this.client.state === "live") one.tries += 1;
        setTimeout(() => this.has(one) && this.upload(one, file), 1000 * 2 ** one.tries);
        return;
      }
      this.remove(one);
      if (this.thread.id === conversation) this.trouble(`${one.name}: ${error.message}`);
    }
    this.draw();
  }

  has(one) {
    return this.uploads.get(one.conversation)?.includes(one) ?? false;
  }

  remove(one) {
    const left = this.uploads.get(one.conversation) ?? [];
    this.uploads.set(one.conversation, left.filter((each) => each !== one));
  }

  chip(one) {
    const remove = () => {
      this.remove(one);
      this.draw();
      part("body").focus();
    };
    one.bar = one.id ? null : make("progress", { max: 1, value: one.done, "aria-label": `${one.name} is uploaded` });
    return make("li", {}, one.name, one.bar, make("button", { type: "button", "aria-label": `Remove ${one.name}`, click: remove }, "×"));
  }

  // --- Canned replies ------------------------------------------------------------------------

  async canned() {
    const { id } = this.thread;
    const isElsewhere = () => this.thread.id !== id;
    try {
      const { results } = await get(`${id}/replies`);
      if (isElsewhere()) return; // they have a person's name in them
      this.replies = results;
    } catch (error) {
      if (!isElsewhere()) this.trouble(error.message);
      return;
    }
    part("canned-search").value = "";
    this.drawCanned();
    part("canned-dialog").showModal();
    part("canned-search").focus();
  }

  drawCanned() {
    const wanted = part("canned-search").value.toLowerCase();
    const found = this.replies.filter(({ name, key, text }) => `${name} ${key} ${text}`.toLowerCase().includes(wanted));
    const choose = ({ text }) => {
      part("canned-dialog").close();
      this.insert(text);
    };
    part("canned-list").replaceChildren(
      ...found.map((one) => make("li", {}, make("button", { type: "button", click: () => choose(one) }, make("strong", {}, one.name), make("span", {}, one.text)))),
    );
    part("canned-none").hidden = this.replies.length > 0;
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
    if (this.files.some((one) => !one.id) && !isNote) {
      this.trouble("A file is still on its way.");
      return;
    }
    const files = isNote ? [] : this.files;
    if (!body && !files.length) return;
    const client_id = newId();
    const asked = isNote ? { body, client_id } : { body, client_id, medium: this.medium, attachments: files.map((one) => one.id) };
    const one = {
      id: client_id,
      conversation: this.thread.id,
      path: `${this.thread.id}/${isNote ? "note" : "reply"}`,
      asked,
      isNote,
      body,
      files: files.map((each) => each.name).join(", "),
      created_at: new Date(now()).toISOString(),
      at: String(Date.now()),
      author: { kind: "staff", id: options.me.id },
    };
    one.retry = () => this.post(one);
    one.discard = () => this.settle(one);
    part("body").value = "";
    if (!isNote) this.uploads.delete(this.thread.id);
    this.trouble("");
    this.written();
    this.draw();
    this.post(one);
    this.thread.toEnd();
    if (isNote) this.to("reply");
  }

  async post(one) {
    one.error = "";
    one.isHeld = false;
    if (!this.held.includes(one)) this.held.push(one);
    this.show(one);
    try {
      const made = await post(one.path, one.asked);
      this.settle(one);
      if (this.thread.id !== one.conversation) return;
      if (one.isNote) {
        this.thread.merge({ notes: [made] });
        this.thread.draw();
        this.thread.announce();
      } else this.thread.take(made, true);
    } catch (error) {
      if (error.status === 0) this.hold(one);
      else one.error = error.message;
      this.show(one);
    }
  }

  /** Sent when there is a connection again; soon, where there is one already. */
  hold(one) {
    one.isHeld = true;
    setTimeout(() => one.isHeld && this.client.state === "live" && this.post(one), HELD_MS);
  }

  show(one) {
    if (this.thread.id !== one.conversation) return;
    this.thread.waiting.set(one.id, { ...one });
    this.thread.draw();
  }

  settle(one) {
    one.isHeld = false;
    this.held = this.held.filter((each) => each !== one);
    if (this.thread.id !== one.conversation) return;
    this.thread.waiting.delete(one.id);
    this.thread.draw();
  }

  sendHeld() {
    for (const one of this.held) if (one.isHeld) this.post(one);
  }

  /** What waits for this conversation, when it is opened again. */
  restore() {
    for (const one of this.held) this.show(one);
  }
}
