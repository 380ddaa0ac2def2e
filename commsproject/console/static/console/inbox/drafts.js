// What is being written, for a month: of each conversation a reply, with what it answers and how it is to
// go, and a note; and which message is being changed.

import { newId, Store } from "./store.js";

const KEPT_MS = 30 * 86_400_000;
const NONE = { text: "", about: null };

const drafts = new Store("draft");
const edits = new Store("edit");
for (const store of [drafts, edits]) {
  for (const [name, { at }] of store.entries) if (Date.now() - at > KEPT_MS) store.delete(name);
}

const place = (conversation, mode) => `${conversation}:${mode}`;

export const read = (conversation, mode) => drafts.get(place(conversation, mode)) ?? NONE;

/** As it is kept. It has its `id` for as long as it is written, in however many tabs. */
export function keep(conversation, mode, draft) {
  if (!draft.text && !draft.about && !draft.medium) {
    drafts.delete(place(conversation, mode));
    return NONE;
  }
  const kept = { ...draft, id: draft.id ?? newId(), at: Date.now() };
  drafts.set(place(conversation, mode), kept);
  return kept;
}

/** `heard` gets what another tab has made of a draft, nothing where it was sent, and what it was. */
export const follow = (heard) =>
  drafts.follow((name, is, was) => {
    const [conversation, mode] = name.split(":");
    heard({ conversation, mode, is, was });
  });

// --- Changes of what was sent --------------------------------------------------------------------

export const editOf = (conversation) => edits.get(conversation);

export const keepEdit = ({ entry, text }) => edits.set(entry.conversation, { entry, text, at: Date.now() });

export const endEdit = (conversation) => edits.delete(conversation);
