// The demo: two clients in one page, each with a line that can be cut; a form that sends.

const { CommsClient } = await import(document.body.dataset.client);
const { people, key } = JSON.parse(document.getElementById("start").textContent);
const sides = [...document.querySelectorAll(".side")];

const capital = (name) => name.charAt(0).toUpperCase() + name.slice(1);
const names = Object.fromEntries(people.map(({ id }) => [id, { name: capital(id) }]));

/** A network that can be cut: sockets close, and neither they nor requests get through. */
class Network {
  isCut = false;
  #open = new Set();

  constructor() {
    const network = this;
    this.WebSocket = class extends WebSocket {
      constructor(...args) {
        if (network.isCut) throw new Error("The line is cut.");
        super(...args);
        network.#open.add(this);
        this.addEventListener("close", () => network.#open.delete(this));
      }
    };
    this.fetch = (...args) => (this.isCut ? Promise.reject(new TypeError("The line is cut.")) : fetch(...args));
  }

  cut() {
    this.isCut = true;
    for (const socket of this.#open) socket.close();
  }

  mend() {
    this.isCut = false;
    dispatchEvent(new Event("online")); // as the browser says when the network is back
  }
}

function begin(side, { id, token }, other) {
  const network = new Network();
  const client = new CommsClient({ token: () => token, user: id, fetch: network.fetch, WebSocket: network.WebSocket });
  const chat = side.querySelector("comms-chat");
  const inbox = side.querySelector("comms-inbox");
  const pill = side.querySelector(".pill");
  const told = side.querySelector(".told");
  const button = side.querySelector(".cut");
  let cutAt = null;
  let missed = [];

  side.querySelector("h2").textContent = capital(id);
  client.on("state", ({ state }) => {
    pill.className = `pill ${state}`;
    pill.textContent = network.isCut ? "Line cut" : { live: "Live", connecting: "Connecting", offline: "Offline" }[state];
  });
  client.on("entry", ({ seq }) => note(seq));
  client.on("entry.changed", ({ seq }) => note(seq));
  client.connect();
  chat.setAttribute("with", other.id);
  for (const widget of [chat, inbox]) {
    widget.people = (ids) => Object.fromEntries(ids.map((one) => [one, names[one] ?? { name: one }]));
    widget.client = client;
  }

  let telling;
  function note(seq) {
    if (cutAt === null || network.isCut) return;
    missed.push(seq);
    clearTimeout(telling);
    telling = setTimeout(tell, 300);
  }

  function tell() {
    const numbers = missed.length > 6 ? `${missed[0]} to ${missed.at(-1)}` : missed.join(", ");
    told.textContent = missed.length
      ? `Resumed after number ${cutAt}: got ${numbers}. Nothing missing, nothing twice.`
      : `Resumed after number ${cutAt}: nothing was missed.`;
    cutAt = null;
  }

  button.addEventListener("click", () => {
    const isCut = !network.isCut;
    button.setAttribute("aria-pressed", isCut);
    button.textContent = isCut ? "Mend the line" : "Cut the line";
    side.classList.toggle("lost", isCut);
    if (isCut) {
      const keys = chat.shadowRoot?.querySelector("[data-name]")?.dataset.name.split("/")[0];
      cutAt = (keys && client.position("conversations", keys)) ?? 0;
      missed = [];
      told.textContent = `Cut after number ${cutAt}. Write on both sides: what ${capital(id)} writes waits here.`;
      network.cut();
    } else {
      network.mend();
      telling = setTimeout(tell, 1500);
    }
  });
}

sides.forEach((side, index) => begin(side, people[index], people[1 - index]));

// --- The bell ------------------------------------------------------------------------------------

const form = document.getElementById("ring");
const whose = form.querySelector(".whose");
form.elements.to.append(...people.map(({ id }) => new Option(capital(id), id)));
const point = () => { whose.textContent = capital(form.elements.to.value); };
form.elements.to.addEventListener("change", point);
point();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { to, title, body, actions } = form.elements;
  const content = { title: title.value, body: body.value };
  const call = { to: { user_id: to.value }, channels: ["inapp"], content };
  if (actions.checked) {
    call.actions = [
      { key: "good", label: "Suits me", style: "primary" },
      { key: "later", label: "Another day" },
    ];
  }
  const answer = form.querySelector(".answer");
  const response = await fetch("/api/v1/notifications", {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify(call),
  }).catch(() => null);
  const said = await response?.json().catch(() => null);
  answer.textContent = response?.ok ? `Accepted. Look at ${capital(to.value)}’s bell.` : (said?.detail || "The service did not answer.");
  document.getElementById("call").textContent =
    `POST /api/v1/notifications\n${JSON.stringify(call, null, 2)}\n\n${response?.status ?? ""}\n${JSON.stringify(said, null, 2)}`;
});

// --- How it looks --------------------------------------------------------------------------------

const widgets = [...document.querySelectorAll("comms-chat, comms-inbox")];
document.getElementById("language").addEventListener("change", ({ target }) => {
  for (const widget of widgets) widget.lang = target.value;
});
document.getElementById("theme").addEventListener("change", ({ target }) => {
  for (const one of [document.documentElement, ...widgets]) one.setAttribute("theme", target.value);
});
