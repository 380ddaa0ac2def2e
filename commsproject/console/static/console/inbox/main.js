// The staff inbox: what the panes have in common, the socket, the sign-in, the address of the page, the
// keys.

import { CommsClient } from "../../comms/comms-client.js";
import { ME, options, post, reason, renew, session } from "./api.js";
import { Composer } from "./composer.js";
import { part, root } from "./dom.js";
import { assignees } from "./head.js";
import { Held } from "./held.js";
import { hrefOf, List } from "./list.js";
import { PersonPane } from "./person.js";
import { Picker } from "./picker.js";
import { Thread } from "./thread.js";

const REFRESH_SECONDS = 30;
const SOONEST_MS = 5000;

const client = new CommsClient({ session: true, user: ME, storage: null });
const picker = new Picker();
const held = new Held({ changed: waits, sent });
const list = new List({ opened: open, came, isUnsent: (id) => held.isOf(id) });
const thread = new Thread({
  client,
  held,
  changed: (row) => list.replace(row),
  desk: {
    answer: (entry) => composer.answer(entry),
    draw: () => part("composer").hidden || composer.draw(),
    edit: (entry) => composer.edit(entry),
    takeBack: (one) => composer.takeBack(one),
    trouble: (text) => composer.trouble(text),
  },
});
const composer = new Composer({ thread, client, held, picker });
const pane = new PersonPane((id) => open(id));

// --- Where one is ------------------------------------------------------------------------------

/** On a phone one pane is shown at a time. */
const step = (name) => {
  root.dataset.step = name;
};

/** At its end, or at a seq that somebody looks for. */
async function open(id, at, { isNew = true } = {}) {
  if (isNew && (thread.id !== id || at !== undefined)) history.pushState({}, "", hrefOf(id, at));
  step("thread");
  list.select(id, at);
  const isHere = thread.id === id && (thread.row || thread.isLoading);
  if (isHere && at === undefined) return;
  if (isHere && thread.row) {
    thread.show(at).catch((error) => composer.trouble(reason(error)));
    return;
  }
  thread.isLeftUnread = false;
  show(true);
  if (pane.id !== id) pane.show(id);
  await begin(id, at);
}

/** Where it cannot be fetched now, `heal` asks again. */
async function begin(id, at) {
  thread.wanted = at;
  try {
    if (!(await thread.open(id, at))) return;
  } catch (error) {
    if (thread.id === id) failed(error);
    return;
  }
  show(true);
  part("composer").hidden = !options.mayAnswer;
  composer.open();
  if (at !== undefined) thread.log.show(at);
}

function leave() {
  thread.leave();
  pane.leave();
  list.select(null);
  show(false);
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
  const said = error.status === 404 ? "There is no such conversation" : reason(error);
  part("failed").querySelector("h2").textContent = said || "It is not loaded yet";
  part("failed").querySelector("p").hidden = error.status !== 401 && !error.isTemporary;
}

function there() {
  const id = location.pathname.slice(options.base.length).replace(/\/$/, "");
  const at = new URLSearchParams(location.search).get("at") ?? "";
  if (id) open(id, /^\d{1,15}$/.test(at) ? Number(at) : undefined, { isNew: false });
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
    list.replace(await post(`${id}/${path}`, body));
  } catch (error) {
    list.heard(id); // which may be another than what was seen
    if (thread.id === id) composer.trouble(reason(error));
  }
}

const change = (run) => thread.row && options.mayAnswer && run();
/** Only where it is with whom one has seen it: what a colleague has taken meanwhile stays theirs. */
const assign = (id, seen = thread.row.assignee) => act("assign", { assignee: id || null, seen: seen?.id ?? null });
const close = () => act("status", { status: thread.row.status === "closed" ? "open" : "closed" });
const keepUnread = () => thread.keepUnread().catch((error) => composer.trouble(reason(error)));

function choose() {
  const { id, row } = thread;
  picker.open({
    title: "Assign to",
    items: assignees(row.assignee),
    current: row.assignee?.id ?? "",
    chosen: (one) => thread.id === id && assign(one.id, row.assignee),
  });
}

part("assignee").addEventListener("click", () => change(choose));
part("close").addEventListener("click", () => change(close));
part("unread").addEventListener("click", () => change(keepUnread));

/** A row of the list has come: what is open is read while somebody looks at it. */
function came(row) {
  if (row.id !== thread.id || !thread.row) return row;
  const shown = thread.isSeen ? { ...row, is_unread: false } : row;
  thread.setRow({ ...shown, hit: undefined });
  return shown;
}

// --- What waits --------------------------------------------------------------------------------

function waits(conversation) {
  if (conversation === thread.id) thread.log.draw();
  list.draw();
}

function sent(conversation, { entries = [], notes = [] }) {
  if (conversation !== thread.id || !thread.entries) return;
  for (const one of entries) thread.take(one, true);
  thread.merge({ notes });
  thread.log.draw();
  thread.announce();
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
client.on("state", ({ state, error }) => {
  root.classList.toggle("inbox-is-live", state === "live");
  const offline = error?.code === "crowd" ? "Too many windows are open: trying again" : "No connection: trying again";
  part("state").textContent = { live: "Live", connecting: "Connecting", offline }[state];
  if (state === "live") heal({ isBack: true });
});

/** Frames of the list have no number: what was missed is fetched. */
async function heal({ isBack = false } = {}) {
  if (session.isOver && !(await isSignedIn())) return;
  list.refresh({ isBack }).catch(() => {});
  pane.heal();
  if (thread.row) thread.news();
  else if (thread.id && !thread.isLoading) begin(thread.id, thread.wanted);
  held.flush();
}
const seen = () => !document.hidden && heal();
setInterval(seen, REFRESH_SECONDS * 1000);
document.addEventListener("visibilitychange", seen); // what was read in another tab, for one
addEventListener("focus", () => session.isOver && seen());

// --- The sign-in -------------------------------------------------------------------------------

/** The socket has lost its sign-in: it may be that there is another already. */
client.on("signedout", async () => {
  part("state").textContent = "Not connected";
  const isLong = performance.now() - askedAt > SOONEST_MS;
  session.is(!(isLong && (await isSignedIn())));
});

let askedAt = -Infinity;

async function isSignedIn() {
  askedAt = performance.now();
  try {
    await renew();
    client.connect();
    return true;
  } catch {
    return false;
  }
}

session.changed = () => {
  part("signed-out").hidden = !session.isOver;
  if (thread.row) thread.log.draw(); // which says what is waited for
};

// --- Keys --------------------------------------------------------------------------------------

const KEYS_OFF = "inbox-no-single-keys";
const QUEUES = ["mine", "unassigned", "open", "closed"];
const help = () => part("help-dialog").showModal();
/** What may go on while a key is held. */
const WALKS = new Set(["j", "k"]);
const write = (mode) => change(() => composer.turn(mode));
const keys = {
  j: () => list.walk(1),
  k: () => list.walk(-1),
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
  const name = key.toLowerCase(), run = keys[name];
  if (!run || localStorage.getItem(KEYS_OFF)) return;
  event.preventDefault();
  if (!event.repeat || WALKS.has(name)) run();
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
