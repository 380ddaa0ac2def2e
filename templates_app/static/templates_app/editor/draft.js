// What is being written: its content, what of it is saved, and a copy in the browser until it is.

const KEPT = "comms-template-";

export class Draft extends EventTarget {
  constructor(id, { stamp, content }) {
    super();
    this.id = id;
    this.reset({ stamp, content });
  }

  // What the server has is the starting point again.
  reset({ stamp, content }) {
    this.stamp = stamp;
    this.base = structuredClone(content);
    this.content = structuredClone(content);
    this.told("replaced");
  }

  // `sent` was saved and is stored as `stored` says; writing may have gone on meanwhile.
  saved({ stamp, content: stored }, sent) {
    const values = leaves(stored);
    for (const path of changedPaths(sent, stored)) {
      if (isSame(leaves(this.content)[path], leaves(sent)[path])) put(this.content, path, values[path]);
    }
    this.stamp = stamp;
    this.base = structuredClone(stored);
    this.keep();
    this.told("saved");
  }

  change(act) {
    act(this.content);
    this.keep();
    this.told("changed");
  }

  replace(content) {
    this.content = structuredClone(content);
    this.keep();
    this.told("replaced");
  }

  get isChanged() {
    return changedPaths(this.base, this.content).length > 0;
  }

  // Losing the browser's tab loses nothing: the copy outlives it until the server has it all.
  keep() {
    try {
      if (!this.isChanged) return localStorage.removeItem(KEPT + this.id);
      const copy = { stamp: this.stamp, base: this.base, content: this.content, at: Date.now() };
      localStorage.setItem(KEPT + this.id, JSON.stringify(copy));
    } catch {
      // no room, or none allowed: the warning before leaving still stands
    }
  }

  kept() {
    try {
      const copy = JSON.parse(localStorage.getItem(KEPT + this.id));
      return copy && changedPaths(copy.content, this.content).length ? copy : null;
    } catch {
      return null;
    }
  }

  forget() {
    try {
      localStorage.removeItem(KEPT + this.id);
    } catch {
      // nothing was kept
    }
  }

  told(what) {
    this.dispatchEvent(new Event(what));
  }

  // The parts of one locale ("" for the template's own) and channel, undefined where there are none.
  parts(locale, channel) {
    return channelsOf(this.content, locale)?.[channel];
  }
}

export function channelsOf(content, locale) {
  return locale ? content.translations[locale] : content.channels;
}

export function same(one, other) {
  return canonical(one) === canonical(other);
}

function canonical(value) {
  return JSON.stringify(value, (_, inner) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner);
}

// Every leaf by its path: {"channels.email.subject": "...", "locale": "en"}. Samples and the schema are one each.
function leaves(content) {
  const found = { ...content };
  delete found.channels;
  delete found.translations;
  const add = (start, channels) => {
    for (const [channel, parts] of Object.entries(channels)) {
      for (const [part, source] of Object.entries(parts)) found[`${start}.${channel}.${part}`] = source;
    }
  };
  add("channels", content.channels);
  for (const [locale, channels] of Object.entries(content.translations)) add(`translations.${locale}`, channels);
  return found;
}

export function changedPaths(from, to) {
  const [before, after] = [leaves(from), leaves(to)];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((path) => !isSame(before[path], after[path]));
}

// A part that is empty is none.
function isSame(one, other) {
  return same(one || null, other || null);
}

// Theirs with what was changed here since `base` on top, part by part; and the parts both changed.
export function merged(base, mine, theirs) {
  const content = structuredClone(theirs);
  const changed = changedPaths(base, mine);
  const values = leaves(mine);
  for (const path of changed) put(content, path, values[path]);
  const clashes = changedPaths(base, theirs).filter((path) => changed.includes(path) &&
    !isSame(leaves(theirs)[path], values[path]));
  return { content, clashes };
}

function put(content, path, value) {
  const [kind, ...rest] = path.split(".");
  if (kind !== "channels" && kind !== "translations") {
    content[kind] = value;
    return;
  }
  const [part, channel, locale = ""] = rest.reverse();
  if (locale) content.translations[locale] ??= {};
  const channels = channelsOf(content, locale);
  channels[channel] ??= {};
  if (value === undefined) delete channels[channel][part];
  else channels[channel][part] = value;
  if (!Object.keys(channels[channel]).length) delete channels[channel];
}
