// The staff inbox: what the panes have in common, the socket, the address of the page, the keys.

import { CommsClient } from "../../comms/comms-client.js";
import { options, post } from "./api.js";
import { Composer } from "./composer.js";
import { part, root } from "./dom.js";
import { List } from "./list.js";
import { PersonPane } from "./person.js";
import { step, Thread } from "./thread.js";

const REFRESH_SECONDS = 30;

const client = new CommsClient({ session: true, user: `staff:${options.me.id}`, storage: null });
const list = new List({ opened: (id) => open(id), came });
const thread = new Thread({ client, changed: (row) => list.replace(row) });
const composer = new Composer({ thread, client });
const pane = new PersonPane((id) => open(id));

// --- Where one is ------------------------------------------------------------------------------

async function open(id, { isNew = true } = {}) {
  if (isNew && thread.id !== id) history.pushState({}, "", `${options.base}${id}/`);
  step("thread");
  list.select(id);
  if (thread.id === id && (thread.row || thread.isLoading)) return;
  thread.isLeftUnread = false;
  show(true);
  pane.show(id);
  await begin(id);
}

/** Where it cannot be fetched now, `heal` asks again. */
async function begin(id) {
  try {
    if (!(await thread.open(id))) return;
  } catch (error) {
    if (thread.id === id) failed(error);
    return;
  }
  show(true);
  part("composer").hidden = !options.mayAnswer;
  composer.open();
  composer.restore();
}

function leave() {
  thread.leave();
  list.select(null);
  show(false);
  part("pane").replaceChildren();
  step("list");
}

function show(isOpen) {
  for (const name of ["head", "scroll"]) part(name).hidden = !isOpen;
  part("composer").hidden = true; // until it is known how to answer
  part("reads").hidden = !isOpen || options.mayAnswer;
  part("blank").hidden = isOpen;
  part("choose").hidden = false;
  part("failed").hidden = true;
  for (const name of ["viewers", "newer"]) part(name).hidden = true;
}

function failed(error) {
  show(false);
  part("choose").hidden = true;
  part("failed").hidden = false;
  part("failed").querySelector("h2").textContent = error.status === 404 ? "There is no such conversation" : error.message;
  part("failed").querySelector("p").hidden = !error.isTemporary;
}

function there() {
  const id = location.pathname.slice(options.base.length).replace(/\/$/, "");
  if (id) open(id, { isNew: false });
  else leave();
}

addEventListener("popstate", there);
for (const button of root.querySelectorAll("[data-back]")) {
  button.addEventListener("click", () => {
    if (button.dataset.back === "thread") step("thread");
    else {
      history.pushState({}, "", options.base);
      leave();
    }
  });
}
part("to-person").addEventListener("click", () => step("person"));

// --- What is done ------------------------------------------------------------------------------

async function act(path, body) {
  const { id } = thread;
  try {
    const row = await post(`${id}/${path}`, body);
    if (row.id === thread.id) thread.setRow(row);
    list.replace(row);
  } catch (error) {
    if (thread.id !== id) return;
    composer.trouble(error.message);
    if (thread.row) thread.drawHead(); // what was chosen does not hold
  }
}

const change = (run) => thread.row && options.mayAnswer && run();
const assign = (id) => act("assign", { assignee: id || null });
const close = () => act("status", { status: thread.row.status === "closed" ? "open" : "closed" });
const keepUnread = () => thread.keepUnread().catch((error) => composer.trouble(error.message));

part("assignee").addEventListener("change", ({ target }) => assign(target.value));
part("close").addEventListener("click", () => change(close));
part("unread").addEventListener("click", () => change(keepUnread));

/** A row of the list has come: what is open is read while somebody looks at it. */
function came(row) {
  if (row.id !== thread.id || !thread.row) return row;
  const shown = document.hidden || thread.isLeftUnread ? row : { ...row, is_unread: false };
  thread.setRow(shown);
  return shown;
}

// --- What is heard -----------------------------------------------------------------------------

client.on("frame", (frame) => {
  if (frame.type !== "support") return;
  list.heard(frame.conversation);
  if (frame.conversation === thread.id) thread.fetchNews();
});
client.on("entry", ({ conversation, entry }) => {
  const isMessage = conversation === thread.id && entry.medium !== "chat";
  if (isMessage) setTimeout(() => thread.id === conversation && pane.show(conversation), 2000);
});
client.on("state", ({ state }) => {
  root.classList.toggle("inbox-is-live", state === "live");
  part("state").textContent = { live: "Live", connecting: "Connecting", offline: "No connection: trying again" }[state];
  if (state === "live") heal();
});
client.on("signedout", () => {
  part("state").textContent = "You are signed out: load the page again.";
});

/** Frames of the list have no number: what was missed is fetched. */
function heal() {
  list.refresh().catch(() => {});
  if (thread.row) thread.news();
  else if (thread.id && !thread.isLoading) begin(thread.id);
}
const seen = () => !document.hidden && heal();
setInterval(seen, REFRESH_SECONDS * 1000);
document.addEventListener("visibilitychange", seen); // what was read in another tab, for one

// --- Keys --------------------------------------------------------------------------------------

const KEYS_OFF = "inbox-no-single-keys";
const QUEUES = ["mine", "unassigned", "open", "closed"];
const help = () => part("help-dialog").showModal();
const write = (mode) => change(() => composer.to(mode, true));
const keys = {
  j: () => list.focus(list.neighbour(1)),
  k: () => list.focus(list.neighbour(-1)),
  r: () => write("reply"),
  n: () => write("note"),
  a: () => change(() => assign(thread.row.assignee?.id === options.me.id ? null : options.me.id)),
  e: () => change(close),
  u: () => change(keepUnread),
  "/": () => part("search").focus(),
  "?": help,
  ...Object.fromEntries(QUEUES.map((name, place) => [String(place + 1), () => list.show(name)])),
};

addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (key === "Escape" && target === part("search")) target.blur();
  if (target.closest("input, textarea, select, dialog, [contenteditable]")) return;
  const run = keys[key.toLowerCase()];
  if (!run || localStorage.getItem(KEYS_OFF)) return;
  event.preventDefault();
  run();
});
part("help").addEventListener("click", help);
const single = part("single-keys");
single.checked = !localStorage.getItem(KEYS_OFF);
single.addEventListener("change", () => {
  if (single.checked) localStorage.removeItem(KEYS_OFF);
  else localStorage.setItem(KEYS_OFF, "1");
});

// --- Begin -------------------------------------------------------------------------------------

list.load();
there();
client.subscribe({ support: { team: 0 } });
client.connect();
