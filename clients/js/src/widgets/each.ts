import { render } from "lit-html";

/**
 * Draw each item into an element of its own, a `tag` that is named after its key and stays while the
 * others come and go: so do its focus and its height. Nothing else draws into `list`.
 */
export function drawEach<Item>(
  list: Element | null,
  tag: string,
  items: readonly Item[],
  key: (item: Item) => string,
  draw: (item: Item) => unknown,
): void {
  const known = new Map(boxes(list).map((box) => [box.dataset["key"], box]));
  const keys = new Set(items.map(key));
  for (const [name, box] of known) if (!keys.has(name ?? "")) box.remove();
  let next = list?.firstElementChild ?? null;
  for (const item of items) {
    const box = known.get(key(item)) ?? document.createElement(tag);
    if (box === next) next = next.nextElementSibling;
    else list?.insertBefore(box, next);
    box.dataset["key"] = key(item);
    render(draw(item), box);
  }
}

export function boxes(list: Element | null): HTMLElement[] {
  return [...(list?.children ?? [])] as HTMLElement[];
}
