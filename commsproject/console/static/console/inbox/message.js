// How one thing in a thread looks: an entry, a note, what waits, what happened.

import { file, options } from "./api.js";
import { badge, clock, icon, key, make, MEDIA, safe, size, whole } from "./dom.js";

/** `look`: whether it `follows` one of the same author, its `receipt`, whether somebody has looked for it. */
export function looks(thread, { entry, note, waits, state, isOnItsWay }, look) {
  if (waits) return pending(thread, waits, { state, isOnItsWay }, look);
  if (note) return noted(thread, note, look);
  return entry.kind === "system" ? happened(thread, entry) : said(thread, entry, look);
}

function item(classes, more, ...children) {
  const names = Object.entries(classes).filter(([, isIt]) => isIt).map(([name]) => name);
  return make("li", { class: ["inbox-entry", ...names].join(" "), ...more }, ...children);
}

const time = (at) => make("time", { datetime: at, title: whole(at) }, clock(at));

// --- What was written --------------------------------------------------------------------------

function said(thread, entry, { follows, receipt, isMarked }) {
  const classes = {
    "inbox-entry-ours": entry.author.kind !== "user",
    "inbox-follows": follows,
    "inbox-gone": entry.deleted_at,
    "inbox-marked": isMarked,
  };
  return item(
    classes,
    { "data-seq": entry.seq, tabindex: "-1" },
    make("p", { class: "inbox-by" }, thread.nameOf(key(entry.author))),
    bubble(thread, entry),
    entry.attachments.length ? make("div", { class: "inbox-attached" }, ...entry.attachments.map(attached)) : null,
    entry.reactions.length ? make("div", { class: "inbox-reactions" }, ...entry.reactions.map((it) => reaction(thread, entry, it))) : null,
    foot(thread, entry, receipt),
  );
}

function bubble(thread, entry) {
  if (!entry.html && !entry.deleted_at && !entry.reply_to) return null;
  const box = entry.deleted_at ? make("div", { class: "inbox-bubble" }, "Deleted") : safe("div", { class: "inbox-bubble", dir: "auto" }, entry.html);
  if (entry.reply_to) box.prepend(quote(thread, entry.reply_to));
  return box;
}

function quote(thread, { seq, author, excerpt, deleted }) {
  return make(
    "button",
    { type: "button", class: "inbox-quote", title: "Show what it answers", click: () => thread.show(seq).catch(() => {}) },
    make("b", { dir: "auto" }, thread.nameOf(key(author))),
    make("span", { dir: "auto" }, deleted ? "Deleted" : excerpt || "A file"),
  );
}

function reaction(thread, entry, { emoji, by }) {
  const names = by.map((one) => thread.nameOf(key(one))).join(", ");
  const isMine = by.some((one) => thread.isMine({ author: one }));
  return make(
    "button",
    {
      type: "button",
      "aria-pressed": String(isMine),
      "aria-label": `${emoji}: ${names}`,
      title: names,
      disabled: !options.mayAnswer,
      click: () => thread.react(entry, emoji),
    },
    emoji,
    make("span", {}, String(by.length)),
  );
}

function attached(one) {
  if (one.has_thumbnail) {
    const picture = make("img", { src: file(one.id, true), alt: one.name, loading: "lazy" });
    return make("a", { href: file(one.id), target: "_blank", rel: "noopener" }, picture);
  }
  return make(
    "a",
    { href: file(one.id), target: "_blank", rel: "noopener", class: "inbox-doc", title: one.name },
    icon("description"),
    make("span", { class: "inbox-file-name", dir: "auto" }, one.name),
    make("small", {}, size(one.size)),
  );
}

function foot(thread, entry, receipt) {
  const [sign, label] = MEDIA[entry.medium];
  const sent = thread.sent.get(entry.id);
  return make(
    "p",
    { class: "inbox-foot" },
    entry.medium === "chat" ? null : icon(sign, label),
    time(entry.created_at),
    entry.edited_at && !entry.deleted_at ? "edited" : null,
    receipt ? make("span", {}, receipt) : null,
    sent ? make("a", { href: sent.url, target: "_blank", title: "The message and its deliveries" }, badge(sent.state, sent.tone)) : null,
  );
}

// --- Notes, and what waits ---------------------------------------------------------------------

function noted(thread, note, { follows }) {
  return item(
    { "inbox-entry-ours": true, "inbox-note": true, "inbox-follows": follows },
    { "data-note": note.id },
    make("p", { class: "inbox-by" }, icon("lock"), ` ${thread.nameOf(key(note.author))} · internal note`),
    safe("div", { class: "inbox-bubble", dir: "auto" }, note.html),
    make("p", { class: "inbox-foot" }, time(note.created_at)),
  );
}

function pending(thread, one, { state, isOnItsWay }, { follows }) {
  const { held } = thread;
  const button = (text, click) => make("button", { type: "button", click }, text);
  const foot = one.error
    ? [
        make("span", { class: "inbox-failed", role: "alert" }, one.error),
        button("Try again", () => held.retry(one)),
        button("Change", () => thread.desk.takeBack(one)),
        button("Discard", () => held.remove(one.id)),
      ]
    : [make("span", {}, state), isOnItsWay ? null : button("Discard", () => held.remove(one.id))];
  return item(
    { "inbox-entry-ours": true, "inbox-waits": true, "inbox-note": one.isNote, "inbox-follows": follows },
    {},
    one.asked.body ? make("div", { class: "inbox-bubble", dir: "auto" }, one.asked.body) : null,
    ...one.files.map(({ name }) => make("p", { class: "inbox-foot" }, icon("description"), name)),
    make("p", { class: "inbox-foot" }, ...foot),
  );
}

// --- What happened -----------------------------------------------------------------------------

function happened(thread, { event, author, created_at }) {
  const who = thread.nameOf(key(author)), people = event.people ?? [];
  const named = people.map((id) => thread.nameOf(`${event.type === "assigned" ? "staff" : (event.kind ?? "user")}:${id}`)).join(", ");
  const told = {
    assigned: people.length ? (named === who ? "took it" : `assigned it to ${named === "You" ? "you" : named}`) : "gave it back to the team",
    status: { closed: "closed it", open: "opened it again", pending: "waits for an answer" }[event.status] ?? "changed its state",
    joined: `brought in ${named}`,
    left: named === who ? "left" : `took out ${named}`,
    renamed: `named it “${event.title ?? ""}”`,
  }[event.type];
  return make("li", { class: "inbox-event" }, `${who} ${told ?? event.type} · ${clock(created_at)}`);
}
