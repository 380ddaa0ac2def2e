// Small things that all panes use. Text goes in as text; of HTML only what is on a list.

export const root = document.getElementById("inbox");
export const part = (name) => root.querySelector(`[data-${name}]`);

/** `make("p", {class: "x", hidden: true}, "text", child)`: an element; functions are listeners. */
export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((one) => one !== null && one !== undefined && one !== ""));
  return node;
}

export const icon = (name, label) =>
  make("span", { class: "material-symbols-outlined", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) }, name);

/** Of somebody, to find them by. */
export const key = (person) => `${person.kind}:${person.id}`;

const ALLOWED = new Set(["P", "BR", "STRONG", "EM", "S", "CODE", "PRE", "BLOCKQUOTE", "UL", "OL", "LI", "A", "MARK"]);

/**
 * HTML that the service made of somebody's words. It is safe; what it may hold is checked here again,
 * as this page runs what it finds in attributes (Alpine, of the admin theme).
 */
export function safe(tag, props, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html"); // runs and loads nothing
  return make(tag, props, ...copied(parsed.body));
}

function copied(parent) {
  return [...parent.childNodes].map((node) => {
    if (!(node instanceof Element && ALLOWED.has(node.tagName))) return node.textContent ?? "";
    const link = node.tagName === "A" ? (node.getAttribute("href") ?? "") : "";
    const props = /^(https?:|mailto:)/i.test(link) ? { href: link, target: "_blank", rel: "noopener noreferrer nofollow" } : {};
    return make(node.tagName, props, ...copied(node));
  });
}

export function face(name) {
  const words = name.replace(/[^\p{L}\p{N}\s]/gu, " ").trim().split(/\s+/);
  const letters = [...words].slice(0, 2).map((word) => [...word][0] ?? "").join("") || "?";
  const sum = [...name].reduce((total, sign) => total + sign.codePointAt(0), 0);
  return make("span", { class: `inbox-face inbox-face-${sum % 8}`, "aria-hidden": "true" }, letters);
}

export const badge = (text, tone) => make("span", { class: `comms-badge comms-badge-${tone}` }, text);

export const MEDIA = { chat: ["chat", "Chat"], email: ["mail", "Email"], sms: ["sms", "Text message"] };

let ahead = 0;
/** By the clock of the service, in milliseconds: that of a device may be hours wrong. */
export const now = () => Date.now() + ahead;
export const setNow = (date) => {
  const at = Date.parse(date ?? "");
  if (at) ahead = at - Date.now();
};

const TIME = { hour: "2-digit", minute: "2-digit" };
export const clock = (at, timeZone) => new Date(at).toLocaleTimeString([], { ...TIME, timeZone });
export const whole = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

export function day(at) {
  const then = new Date(at), today = new Date(now());
  const days = Math.round((new Date(today.toDateString()) - new Date(then.toDateString())) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return then.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", ...(days > 300 && { year: "numeric" }) });
}

export function ago(at) {
  const seconds = Math.max(0, (now() - new Date(at)) / 1000);
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  if (seconds < 7 * 86_400) return `${Math.floor(seconds / 86_400)} d`;
  return new Date(at).toLocaleDateString([], { day: "numeric", month: "short" });
}

export function size(bytes) {
  const [unit, by] = bytes < 1000 ? ["byte", 1] : bytes < 1e6 ? ["kilobyte", 1e3] : ["megabyte", 1e6];
  const format = new Intl.NumberFormat([], { style: "unit", unit, unitDisplay: by > 1 ? "short" : "long", maximumFractionDigits: by > 1e3 ? 1 : 0 });
  return format.format(bytes / by);
}

/** `run` once, some time after the last call; at the latest `most` after the first. */
export function later(run, wait, most = wait * 4) {
  let timer, first;
  return () => {
    first ??= Date.now();
    clearTimeout(timer);
    timer = setTimeout(() => {
      first = undefined;
      run();
    }, Math.max(0, Math.min(wait, first + most - Date.now())));
  };
}

/** Puts the nodes in order, and touches only what is elsewhere. */
export function arrange(parent, nodes) {
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}
