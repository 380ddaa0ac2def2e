// What is being written, for a month: of each conversation a reply, with what it answers, and a note.

import { Store } from "./store.js";

const KEPT_MS = 30 * 86_400_000;
const NONE = { text: "", about: null };

const store = new Store("draft");
for (const [name, { at }] of store.entries) if (Date.now() - at > KEPT_MS) store.delete(name);

const place = (conversation, mode) => `${conversation}:${mode}`;

export const read = (conversation, mode) => store.get(place(conversation, mode)) ?? NONE;

export function keep(conversation, mode, { text, about }) {
  if (text || about) store.set(place(conversation, mode), { text, about, at: Date.now() });
  else store.delete(place(conversation, mode));
}
