// The pane beside the thread: who it is, what they get and want, what else they have asked.

import { get, options, reason } from "./api.js";
import { ago, badge, clock, face, make, now, part, whole } from "./dom.js";

const TONES = { open: ["Open", "warn"], pending: ["Waiting", "busy"], closed: ["Closed", "quiet"] };

export class PersonPane {
  constructor(opened) {
    this.opened = opened;
  }

  async show(id) {
    this.id = id;
    const box = part("pane");
    box.setAttribute("aria-busy", "true");
    try {
      const found = await get(`${id}/person`);
      if (this.id !== id) return;
      box.replaceChildren(...this.parts(found));
      this.isMissing = false;
    } catch (error) {
      if (this.id !== id) return;
      box.replaceChildren(make("p", { class: "inbox-none" }, reason(error)));
      this.isMissing = true;
    }
    box.removeAttribute("aria-busy");
  }

  /** What could not be fetched is asked for again. */
  heal() {
    if (this.isMissing) this.show(this.id);
  }

  leave() {
    this.id = null;
    this.isMissing = false;
    part("pane").replaceChildren();
  }

  parts({ id, name, known, messages, conversations }) {
    const head = make(
      "div",
      { class: "inbox-card" },
      face(name || "?"),
      make("h2", {}, name || "Somebody"),
      name === id ? null : make("p", { class: "comms-soft" }, id),
      known ? make("a", { class: "comms-link", href: known.url }, "All about this person") : null,
    );
    const parts = [head];
    if (known) parts.push(...about(known));
    if (messages) parts.push(fold("Recent messages", messages.map(message), "Nothing was sent yet."));
    parts.push(fold("Other conversations", conversations.map((one) => this.other(one)), "None."));
    return parts;
  }

  other({ id, title, status, active_at }) {
    const go = (event) => {
      event.preventDefault();
      this.opened(id);
    };
    const link = make("a", { class: "comms-link", href: `${options.base}${id}/`, click: go }, title || "Conversation");
    return make("li", {}, link, badge(...TONES[status]), make("p", {}, when(active_at)));
  }
}

const when = (at) => make("time", { datetime: at, title: whole(at) }, ago(at) === "now" ? "just now" : ago(at));

function fold(title, lines, none) {
  const content = lines.length ? make("ul", { class: "inbox-lines" }, ...lines) : make("p", { class: "comms-soft" }, none);
  return make("details", { open: true }, make("summary", {}, title), content);
}

function about(known) {
  const facts = [
    ...known.addresses.map(({ channel, value, is_verified }) => [channel, is_verified ? `${value} ✓` : value]),
    ["Language", known.locale],
    ["Time there", there(known.time_zone)],
    ["Known since", whole(known.since)],
    ["Paused until", known.paused_until && whole(known.paused_until)],
    ["Quiet hours", known.quiet.join(", ")],
    ...Object.entries(known.data),
  ].filter(([, value]) => value);
  const list = make("dl", { class: "inbox-facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const parts = [make("details", { open: true }, make("summary", {}, "Details"), list)];
  if (known.blocked.length) parts.push(fold("Cannot be reached", known.blocked.map((text) => make("li", {}, text)), ""));
  parts.push(fold("Preferences", known.preferences.map(preference), "No categories yet."));
  parts.push(fold("Consent", known.consents.map(consent), "Nothing is recorded."));
  return parts;
}

function there(zone) {
  if (!zone) return "";
  try {
    return `${clock(now(), zone)} (${zone})`;
  } catch {
    return zone;
  }
}

const preference = ({ category, on, off }) =>
  make("li", {}, category, make("p", {}, [on.length ? `On: ${on.join(", ")}` : "", off.length ? `Off: ${off.join(", ")}` : ""].filter(Boolean).join(" · ")));

const consent = ({ said, about: category, by, source, at }) =>
  make("li", {}, `${said}: ${category}`, make("p", {}, [by, source, ""].filter(Boolean).join(" · "), " ", when(at)));

const message = ({ about: what, channels, state, tone, url, at }) =>
  make("li", {}, make("a", { class: "comms-link", href: url }, what), badge(state, tone), make("p", {}, `${channels.join(", ")} · `, when(at)));
