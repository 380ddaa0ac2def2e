/** What was begun and not sent, for the next start of the page; kept where unsent messages are. */

/** A storage may be full, forbidden, or none: then a draft lives as long as the page. */
export function kept<Draft>(storage: Storage | null, place: string): Draft | null {
  try {
    return JSON.parse(storage?.getItem(place) ?? "null") as Draft | null;
  } catch {
    return null;
  }
}

/** Null: there is none any more. */
export function keep(storage: Storage | null, place: string, draft: object | null): void {
  try {
    if (draft) storage?.setItem(place, JSON.stringify(draft));
    else storage?.removeItem(place);
  } catch {
    // see above
  }
}
