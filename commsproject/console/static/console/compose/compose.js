// Conveniences: everything works without them.

const form = document.getElementById("compose");
const look = document.getElementById("look");
const busy = new Map();

if (look) look.focus();
if (form) {
  const template = form.elements.namedItem("template");
  const data = form.elements.namedItem("data");
  let filled = "";

  template.addEventListener("change", () => fill(template.value));
  form.addEventListener("submit", wait);
  addEventListener("pageshow", rest); // come back to by the browser's button
  // The theme shows a file's name in a field of its own widget, and fails where there is none.
  form.addEventListener("change", (event) => event.target.type === "file" && event.stopPropagation(), true);
  show(template.value);
  if (template.value && !data.value) fill(template.value);

  // The data to begin with, unless somebody has written there.
  async function fill(key) {
    show(key);
    if (data.value !== filled) return;
    data.value = filled = "";
    const isBatch = form.enctype === "multipart/form-data"; // there each row has its own
    if (!key || isBatch) return;
    const answer = await fetch(`${form.dataset.example}?template=${encodeURIComponent(key)}`);
    if (answer.ok && template.value === key && !data.value) {
      data.value = filled = JSON.stringify((await answer.json()).data, null, 2);
    }
  }

  function show(key) {
    form.querySelector("[data-written]").hidden = key !== "";
    const file = document.getElementById("compose-file");
    if (!file) return;
    file.hidden = key === "";
    file.href = `${form.dataset.file}?template=${encodeURIComponent(key)}`;
  }
}

function wait() {
  form.setAttribute("aria-busy", "true");
  for (const button of document.querySelectorAll("[data-busy]")) {
    busy.set(button, button.textContent);
    button.textContent = button.dataset.busy;
  }
}

function rest() {
  form.removeAttribute("aria-busy");
  for (const [button, text] of busy) button.textContent = text;
  busy.clear();
}
