// The analytics page: filters in the address, one request for all, live numbers beside.

import * as charts from "./charts.js";
import { count } from "./format.js";
import { listen } from "./live.js";
import * as parts from "./parts.js";

const root = document.getElementById("analytics");
const form = root.querySelector("form");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const REFRESH = 60_000;

const hidden = new Set();
let found = null;
let asked = null;

const part = (name) => root.querySelector(`[data-${name}]`);

// --- Filters

function chosen() {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
}

function remember() {
  const query = new URLSearchParams(chosen());
  history.replaceState(null, "", `?${query}`);
}

function restore() {
  const query = new URLSearchParams(location.search);
  for (const select of form.querySelectorAll("select")) {
    const value = query.get(select.name);
    if (value !== null && [...select.options].some((option) => option.value === value)) select.value = value;
  }
}

function address() {
  const { range, ...filters } = chosen();
  const until = new Date();
  const since = new Date(until - Number(range) * 86_400_000);
  const granularity = range === "1" ? "hour" : Number(range) > 90 ? "week" : Number(range) > 7 ? "day" : "hour";
  const query = { ...filters, since: since.toISOString(), until: until.toISOString(), zone, granularity };
  return `${root.dataset.figures}?${new URLSearchParams(query)}`;
}

// --- Figures

async function load() {
  asked?.abort();
  const mine = (asked = new AbortController());
  root.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address(), { signal: mine.signal, headers: { Accept: "application/json" } });
    if (answer.redirected || answer.status === 403) throw new Error("Your session has ended. Sign in again.");
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      throw new Error(problem.detail || `The server answered ${answer.status}.`);
    }
    found = await answer.json();
    trouble("");
    show();
  } catch (error) {
    if (error.name === "AbortError") return;
    trouble(error instanceof TypeError ? "The server cannot be reached." : error.message);
  }
  if (mine === asked) root.setAttribute("aria-busy", "false");
}

function trouble(text) {
  part("trouble").textContent = text;
  root.querySelector(".analytics-trouble").hidden = !text;
}

function show() {
  const { summary } = found;
  const isEmpty = !found.series.some((step) => charts.LINES.some(({ key }) => step[key])) && !summary.accepted;
  part("nothing").hidden = !isEmpty;
  part("charts").hidden = isEmpty;
  part("tiles").replaceChildren(...parts.tiles(found));
  part("zone").textContent = zone;
  if (isEmpty) return;
  for (const name of ["funnel", "losses", "providers", "week", "templates"]) {
    part(name).replaceChildren(parts[name](found));
  }
  for (const waiting of root.querySelectorAll(".analytics-waits")) waiting.classList.remove("analytics-waits");
  draw();
}

function draw() {
  if (!found || part("charts").hidden) return;
  charts.overTime(root.querySelector('[data-chart="time"]'), found.series, hidden);
  charts.onTime(root.querySelector('[data-chart="time10"]'), found.days);
}

// --- Legend

function legend() {
  for (const { key, name, colour } of charts.LINES) {
    const button = parts.element("button", "analytics-key", name);
    button.type = "button";
    button.style.setProperty("--colour", `var(${colour})`);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      hidden[hidden.has(key) ? "delete" : "add"](key);
      button.setAttribute("aria-pressed", String(!hidden.has(key)));
      draw();
    });
    part("legend").append(button);
  }
}

// --- Live

const recent = [];

function told(frame) {
  const now = Date.now();
  recent.push([now, frame]);
  while (recent.length && now - recent[0][0] > 60_000) recent.shift();
  live();
}

function live() {
  const since = Date.now() - 60_000;
  const sum = { accepted: 0, sent: 0, delivered: 0, failed: 0 };
  for (const [at, frame] of recent) {
    if (at >= since) for (const name of Object.keys(sum)) sum[name] += frame[name];
  }
  const failed = sum.failed ? `, ${count(sum.failed)} failed` : "";
  part("live").textContent = `Last minute: ${count(sum.accepted)} accepted, ${count(sum.sent)} sent, ${count(sum.delivered)} delivered${failed}`;
}

function state(isLive) {
  root.classList.toggle("analytics-is-live", isLive);
  if (isLive) live();
  else part("live").textContent = "Not live: connecting again";
}

// --- Start

restore();
legend();
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", () => {
  remember();
  load();
});
root.querySelector("[data-again]").addEventListener("click", load);
new ResizeObserver(() => charts.resize()).observe(root);
new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
setInterval(() => document.hidden || load(), REFRESH);
setInterval(() => root.classList.contains("analytics-is-live") && live(), 5_000);
load();
listen(root.dataset.ticket, { told, state });
