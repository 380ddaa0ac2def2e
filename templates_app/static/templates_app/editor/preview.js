// What the reader gets, beside what is written: rendered by the server, shown as each channel shows it.

import { Failure, SessionEnded, post, token } from "./api.js";
import { $, debounced, h, icon } from "./dom.js";
import { joined } from "./data.js";
import { same } from "./draft.js";
import { choice } from "./tabs.js";

const RETRY = 5000; // ms, where the server was away
const WIDTHS = { desktop: 680, phone: 375 };
const REMOTE = /(?:\bsrc|\bbackground)\s*=\s*["']?\s*https?:|url\(\s*["']?\s*https?:/gi;
const DARK_RULES = /prefers-color-scheme\s*:\s*dark/i;

export class Preview extends EventTarget {
  constructor({ given, draft, samples }) {
    super();
    Object.assign(this, { given, draft, samples });
    const width = matchMedia("(max-width: 56rem)").matches ? "phone" : "desktop";
    Object.assign(this, { channel: "", reader: "", width, look: "light", body: "html", hasPictures: false });
    this.result = null;
    this.last = new Map(); // what was shown before an error, by channel
    this.frame = null;
    this.refreshSoon = debounced(() => this.refresh(), 350);
    for (const name of ["width", "look", "body"]) {
      choice($(`#ed-${name}`), this[name], (value) => {
        this[name] = value;
        this.show();
      });
    }
    new ResizeObserver(() => this.fit()).observe($("#ed-stage"));
  }

  async refresh() {
    this.request?.abort();
    clearTimeout(this.retry);
    this.request = new AbortController();
    const { signal } = this.request;
    const busy = setTimeout(() => ($("#ed-busy").hidden = false), 400);
    const asked = { content: this.draft.content, data: this.samples.data, locale: this.reader };
    try {
      const result = await post(this.given.urls.preview, asked, { signal });
      const isBroken = result.errors.some(({ code }) => code === "syntax");
      this.samples.schema = isBroken ? joined(this.samples.schema, result.schema) : result.schema;
      if (!same(this.samples.data, asked.data) && !this.isAgain) {
        this.isAgain = true; // made-up data now has what the sources read
        this.refresh();
        return;
      }
      this.isAgain = false;
      this.result = result;
      this.asked = asked;
      for (const [channel, shown] of Object.entries(result.channels)) {
        if (this.isWhole(channel)) this.last.set(channel, shown);
      }
      this.trouble = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Failure)) throw error;
      if (error instanceof SessionEnded) this.dispatchEvent(new CustomEvent("session", { detail: error }));
      else {
        this.trouble = error;
        if (!error.status || error.status >= 500) this.retry = setTimeout(() => this.refresh(), RETRY);
      }
    } finally {
      clearTimeout(busy);
      $("#ed-busy").hidden = true;
    }
    this.dispatchEvent(new Event("rendered"));
    this.show();
  }

  // Whether nothing of the channel, in the language that is shown, is missing for an error.
  isWhole(channel) {
    const own = this.draft.content.locale;
    const shown = this.result?.channels[channel]?.locale;
    return !this.problems.some((each) => each.severity === "error" &&
      (!each.channel || (each.channel === channel && (shown === undefined || (each.locale || own) === shown))));
  }

  get problems() {
    const { errors = [], warnings = [] } = this.result ?? {};
    const placed = (severity) => (each) => ({ locale: "", channel: "", part: "", ...each, severity });
    return [...errors.map(placed("error")), ...warnings.map(placed("warning"))];
  }

  show() {
    $("#ed-email-tools").hidden = this.channel !== "email";
    $("#ed-look").hidden = $("#ed-width").hidden = this.body === "text";
    this.showProblems();
    const stage = $("#ed-stage");
    const isWhole = this.isWhole(this.channel);
    const shown = (isWhole && this.result?.channels[this.channel]) || this.last.get(this.channel);
    stage.classList.toggle("ed-stage-stale", Boolean(shown) && !isWhole);
    if (!shown || !(this.channel in this.draft.content.channels)) {
      this.frame = null;
      stage.replaceChildren(h("p", { class: "ed-nothing" },
        !this.channel ? "Nothing is written yet." : isWhole ? "Nothing to show yet." : "This can be shown once the errors below are mended."));
      return;
    }
    if (this.channel === "email") {
      this.email(shown);
      return;
    }
    this.frame = null;
    stage.replaceChildren({ sms, push, inapp }[this.channel](shown));
  }

  email({ parts, facts }) {
    const stage = $("#ed-stage");
    if (this.body === "text") {
      this.frame = null;
      stage.replaceChildren(this.inbox(parts), h("pre", { class: "ed-text" }, parts.text || "No plain text."));
      return;
    }
    const remote = (parts.page.match(REMOTE) ?? []).length;
    if (!this.frame?.isConnected) {
      this.frame = h("iframe", {
        // Without allow-scripts nothing in it runs; with the same origin the place it is scrolled to can be kept.
        sandbox: "allow-same-origin",
        name: "ed-frame",
        title: "The email",
        referrerpolicy: "no-referrer",
      });
      stage.replaceChildren(h("div", { class: "ed-line" }), h("div", { class: "ed-note-slot" }), h("div", { class: "ed-screen" }, this.frame));
    }
    $(".ed-line", stage).replaceChildren(this.inbox(parts));
    $(".ed-note-slot", stage).replaceChildren(...this.notes(parts.page, remote, facts));
    this.fill(parts.page);
    this.fit();
  }

  // A layout or a partial is never in an inbox by itself.
  inbox(parts) {
    if (this.given.kind !== "message") return "";
    const below = parts.preheader || firstWords(parts.text ?? "");
    return h("div", { class: "ed-inbox" },
      h("span", { class: "ed-avatar", "aria-hidden": "true" }, this.given.sender.slice(0, 1).toUpperCase()),
      h("div", {},
        h("p", { class: "ed-inbox-from" }, h("strong", {}, this.given.sender), h("span", {}, "9:41")),
        h("p", { class: "ed-inbox-subject" }, parts.subject || "(no subject)"),
        h("p", { class: "ed-inbox-below" }, below)));
  }

  notes(page, remote, facts) {
    const found = [];
    if (remote) {
      found.push(h("p", { class: "ed-note" }, icon("image"),
        this.hasPictures ? "Pictures are loaded from where they are." : `${counted(remote, "picture")} ${remote === 1 ? "is" : "are"} not loaded.`,
        h("button", { type: "button", class: "ed-quiet", onclick: () => this.togglePictures() }, this.hasPictures ? "Stop that" : "Load")));
    }
    if (this.look === "dark" && !DARK_RULES.test(page)) {
      found.push(h("p", { class: "ed-note" }, icon("dark_mode"), "No styles for dark: some apps change its colours, about like this."));
    }
    if (facts?.bytes) found.push(h("p", { class: "ed-note" }, icon("weight"), `${(facts.bytes / 1024).toFixed(1)} KB of HTML; Gmail cuts at 100.`));
    return found;
  }

  togglePictures() {
    this.hasPictures = !this.hasPictures;
    this.filled = "";
    this.show();
  }

  fill(page) {
    const frame = this.frame;
    const isForced = this.look === "dark" && !DARK_RULES.test(page);
    frame.classList.toggle("ed-frame-inverted", isForced);
    frame.classList.toggle("ed-frame-dark", this.look === "dark" && !isForced);
    if (this.hasPictures) {
      this.fillWithPictures();
      return;
    }
    const shown = this.look === "dark" ? inDark(page, isForced) : inLight(page);
    if (this.filled === shown && frame.srcdoc === shown) return;
    const place = placeOf(frame);
    frame.addEventListener("load", () => frame.contentWindow?.scrollTo(0, place), { once: true });
    this.filled = frame.srcdoc = shown;
  }

  // Only a page of its own may load pictures: what stands in this page is bound to this page's policy.
  fillWithPictures() {
    const asked = JSON.stringify(this.asked);
    if (this.filled === asked) return;
    this.filled = asked;
    const form = h("form", { method: "post", action: this.given.urls.pictures, target: "ed-frame", hidden: true },
      h("input", { name: "csrfmiddlewaretoken", value: token() }),
      h("input", { name: "asked", value: asked }));
    document.body.append(form);
    this.frame.removeAttribute("srcdoc");
    form.submit();
    form.remove();
  }

  // The mail is as wide as it will be, made smaller where the pane is not.
  fit() {
    const screen = $(".ed-screen", $("#ed-stage"));
    if (!screen || !this.frame) return;
    const width = WIDTHS[this.width];
    const scale = Math.min(1, screen.clientWidth / width);
    screen.dataset.width = this.width;
    this.frame.style.width = `${width}px`;
    this.frame.style.height = `${screen.clientHeight / scale}px`;
    this.frame.style.transform = scale < 1 ? `scale(${scale})` : "";
    this.frame.style.marginLeft = `${Math.max(0, (screen.clientWidth - width * scale) / 2)}px`;
  }

  showProblems() {
    const box = $("#ed-problems");
    const lines = [];
    if (this.trouble) lines.push(h("p", { class: "ed-problem ed-problem-error" }, icon("cloud_off"), this.trouble.message));
    const errors = this.problems.filter(({ severity }) => severity === "error");
    const remarks = this.problems.filter(({ severity }) => severity === "warning");
    if (errors.length) lines.push(this.list(`${counted(errors.length, "error")}: it cannot be published so`, errors, "error"));
    if (remarks.length) lines.push(this.list(counted(remarks.length, "remark"), remarks, "lightbulb"));
    box.replaceChildren(...lines);
  }

  list(title, problems, symbol) {
    return h("details", { class: `ed-problem-list ed-problem-list-${symbol}`, open: symbol === "error" },
      h("summary", {}, icon(symbol), title),
      h("ul", {}, problems.map((problem) => h("li", {},
        problem.part || problem.channel
          ? h("button", { type: "button", class: "ed-problem", onclick: () => this.dispatchEvent(new CustomEvent("goto", { detail: problem })) },
            h("strong", {}, this.where(problem)), problem.message)
          : h("span", { class: "ed-problem" }, h("strong", {}, this.where(problem)), problem.message)))));
  }

  where({ locale, channel, part, field = "" }) {
    const spec = this.given.channels.find(({ name }) => name === channel);
    if (!spec) return field.startsWith("data") ? "Data" : field === "layout" ? "Layout" : "";
    const label = spec.parts.find(({ name }) => name === part)?.label;
    return [spec.label, label?.toLowerCase(), locale && `(${locale})`].filter(Boolean).join(" ");
  }
}

function counted(count, what) {
  return count === 1 ? `One ${what}` : `${count} ${what}s`;
}

function placeOf(frame) {
  try {
    return frame.contentWindow?.scrollY ?? 0;
  } catch {
    return 0; // shows pictures, in an origin of its own
  }
}

// The reader's choice, whatever this browser is set to.
function inDark(page, isForced) {
  const shown = page
    .replace(/\(\s*prefers-color-scheme\s*:\s*dark\s*\)/gi, "(min-width:0)")
    .replace(/\(\s*prefers-color-scheme\s*:\s*light\s*\)/gi, "(max-width:0)");
  const back = "<style>img,[background]{filter:invert(1) hue-rotate(180deg)}</style>";
  return isForced ? shown + back : shown;
}

function inLight(page) {
  return page
    .replace(/\(\s*prefers-color-scheme\s*:\s*dark\s*\)/gi, "(max-width:0)")
    .replace(/\(\s*prefers-color-scheme\s*:\s*light\s*\)/gi, "(min-width:0)");
}

function firstWords(text) {
  return text.replace(/\s+/g, " ").trim().slice(0, 120);
}

function phone(...children) {
  return h("div", { class: "ed-phone" }, h("p", { class: "ed-phone-time", "aria-hidden": "true" }, "9:41"), ...children);
}

function sms({ parts, facts }) {
  return h("div", { class: "ed-stage-cards" },
    phone(h("p", { class: "ed-sms" }, facts.text ?? parts.text ?? "")),
    h("dl", { class: "ed-facts" }, ...smsFacts(parts.text ?? "", facts)));
}

function smsFacts(text, { segments, encoding, costs = {}, currency = "", too_long: tooLong }) {
  const alphabet = encoding === "ucs2" ? "Unicode (UCS-2): 70 characters in one, 67 each in several" : "GSM-7: 160 characters in one, 153 each in several";
  const prices = Object.entries(costs).map(([country, cost]) => `${country === "*" ? "elsewhere" : country} ${Number(cost)}`);
  return [
    fact("Characters", String([...text].length)),
    segments ? fact("Segments", String(segments), segments > 1 ? "Each is billed." : "") : null,
    encoding ? fact("Alphabet", alphabet) : null,
    prices.length ? fact(`Costs (${currency})`, prices.join(", ")) : null,
    tooLong ? fact("Too long", tooLong) : null,
  ].filter(Boolean);
}

function fact(name, value, note = "") {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value, note ? h("small", {}, ` ${note}`) : null));
}

function push({ parts }) {
  return h("div", { class: "ed-stage-cards" },
    phone(h("div", { class: "ed-push" },
      h("span", { class: "ed-push-icon", "aria-hidden": "true" }, icon("notifications")),
      h("div", { class: "ed-push-words" },
        h("p", { class: "ed-push-head" }, h("strong", {}, parts.title ?? ""), h("span", {}, "now")),
        h("p", {}, parts.body ?? "")),
      parts.image ? h("span", { class: "ed-picture", title: parts.image }, icon("image")) : null)),
    h("dl", { class: "ed-facts" },
      [["A tap opens", parts.link], ["Picture", parts.image], ["Badge", parts.badge], ["Collapse ID", parts.collapse_id]]
        .filter(([, value]) => value).map(([name, value]) => fact(name, value))));
}

function inapp({ parts }) {
  return h("div", { class: "ed-stage-cards" },
    h("div", { class: "ed-inapp" },
      h("span", { class: "ed-inapp-dot", "aria-hidden": "true" }),
      h("div", {},
        h("p", { class: "ed-push-head" }, h("strong", {}, parts.title ?? ""), h("span", {}, "just now")),
        parts.body ? h("p", {}, parts.body) : null,
        parts.image ? h("p", { class: "ed-picture ed-picture-wide", title: parts.image }, icon("image")) : null,
        parts.link ? h("p", { class: "ed-inapp-link" }, parts.link) : null)));
}
