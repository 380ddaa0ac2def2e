// A row of tabs by the ARIA pattern: one stop of the tab key, arrows move, what is chosen is shown.

import { h } from "./dom.js";

export function tabs(list, items, chosen, choose) {
  const hadFocus = list.contains(document.activeElement);
  const buttons = items.map(({ id, label, mark }) =>
    h("button", {
      type: "button",
      role: "tab",
      class: "ed-tab",
      "data-tab": id,
      "aria-selected": String(id === chosen),
      tabIndex: id === chosen ? 0 : -1,
      onclick: () => choose(id),
    }, label, mark ?? null));
  list.replaceChildren(...buttons);
  list.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !buttons.includes(event.target)) return;
    event.preventDefault();
    const place = items.findIndex(({ id }) => id === chosen) + step;
    const next = Number.isFinite(step) ? (place + items.length) % items.length : step < 0 ? 0 : items.length - 1;
    list.focusNext = true;
    choose(items[next].id);
  };
  if (hadFocus || list.focusNext) list.querySelector("[aria-selected=true]")?.focus();
  list.focusNext = false;
}

// Buttons of which one is pressed.
export function choice(group, chosen, choose) {
  const show = (value) => {
    for (const button of group.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === value));
    }
  };
  group.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    show(button.value);
    choose(button.value);
  });
  show(chosen);
  return show;
}
