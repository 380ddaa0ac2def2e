// Elements without markup in strings: what authors write never becomes HTML of this page.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

export const $ = (selector, within = document) => within.querySelector(selector);

export function debounced(act, milliseconds) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(act, milliseconds, ...given);
  };
}

export function icon(name) {
  return h("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, name);
}

// A question in a <dialog>: resolves with the value of the button that closed it, "" for Escape.
export function ask(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}

export function confirmed({ title, text, button, danger = false }) {
  const dialog = h("dialog", { class: "ed-dialog" },
    h("form", { method: "dialog" },
      h("h2", {}, title),
      h("p", {}, text),
      h("div", { class: "comms-buttons" },
        h("button", { class: `comms-button ${danger ? "comms-button-danger" : "comms-button-primary"}`, value: "yes" }, button),
        h("button", { class: "comms-button", value: "" }, "Go back"))));
  document.body.append(dialog);
  return ask(dialog).then((answer) => {
    dialog.remove();
    return answer === "yes";
  });
}
