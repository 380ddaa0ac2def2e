// The demo: two clients in one page, each with a line that can be cut; a form that sends.

const { CommsClient } = await import(document.body.dataset.client);
const { people, key } = JSON.parse(document.getElementById("start").textContent);
const sides = [...document.querySelectorAll(".side")];

const capital = (name) => name.charAt(0).toUpperCase() + name.slice(1);
const names = Object.fromEntries(people.map(({ id }) => [id, { name: capital(id) }]));

/** A network that can be cut: sockets and uploads end, and neither they nor requests get through. */
class Network {
  isCut = false;
  #sockets = new Set();
  #uploads = new Set();

  constructor() {
    const network = this;
    const Socket = class extends WebSocket {
      constructor(...args) {
        if (network.isCut) throw new Error("The line is cut.");
        super(...args);
        network.#sockets.add(this);
        this.addEventListener("close", () => network.#sockets.delete(this));
      }
    };
    const Upload = class extends XMLHttpRequest {
      send(form) {
        if (network.isCut) return void this.dispatchEvent(new ProgressEvent("error"));
        network.#uploads.add(this);
        this.addEventListener("loadend", () => network.#uploads.delete(this));
        super.send(form);
      }
    };
    const request = (...args) => (this.isCut ? Promise.reject(new TypeError("The line is cut.")) : fetch(...args));
    this.ways = { WebSocket: Socket, XMLHttpRequest: Upload, fetch: request };
  }

  cut() {
    this.isCut = true;
    for (const socket of this.#sockets) socket.close();
    for (const upload of this.#uploads) upload.abort();
  }

  mend() {
    this.isCut = false;
    dispatchEvent(new Event("online")); // as the browser says when the network is back
  }
}

function begin(side, { id: me, token }, other) {
  const network = new Network();
  const client = new CommsClient({ token: () => token, user: me, ...network.ways });
  const chat = side.querySelector("comms-chat");
  const inbox = side.querySelector("comms-inbox");
  const pill = side.querySelector(".pill");
  const told = side.querySelector(".told");
  const button = side.querySelector(".cut");
  let heard = [];
  let turn = 0; // of the button: what an earlier press has begun says nothing any more

  side.querySelector("h2").textContent = capital(me);
  client.on("state", ({ state }) => {
    pill.className = `pill ${state}`;
    pill.textContent = network.isCut ? "Line cut" : { live: "Live", connecting: "Connecting", offline: "Offline" }[state];
  });
  for (const kind of ["entry", "entry.changed"]) client.on(kind, note);
  client.connect();
  chat.setAttribute("with", other.id);
  for (const widget of [chat, inbox]) {
    widget.people = (ids) => Object.fromEntries(ids.map((one) => [one, names[one] ?? { name: one }]));
    widget.client = client;
  }

  const ask = async (path) => {
    const answer = await fetch(`/api/v1/${path}`, { headers: { Authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`The service answered ${answer.status}.`);
    return (await answer.json()).results;
  };
  let place; // the conversation, once it is known
  const conversation = async () =>
    (place ??= (await ask("conversations")).find((one) => one.participants.some(({ id }) => id === other.id))?.id);
  const at = () => (place && client.position("conversations", place)) ?? 0;

  function note({ entry, seq }) {
    heard.push(`${entry.id} ${seq}`);
  }

  /** What came is held against what the service has. It may still be on its way: three seconds. */
  async function tell(cutAt, mine, until = Date.now() + 3000) {
    const id = await conversation();
    const stored = id ? await ask(`conversations/${id}/entries?after=${cutAt}&limit=200`) : [];
    if (mine !== turn) return;
    const missing = stored.filter((one) => !heard.includes(`${one.id} ${one.changed_seq}`)).length;
    const twice = heard.length - new Set(heard).size;
    if (missing && Date.now() < until) return void setTimeout(attempt, 200, mine, () => tell(cutAt, mine, until));
    told.textContent = `Resumed after number ${cutAt}: the service has ${stored.length} newer, ${stored.length - missing} came. ` +
      `${missing || "Nothing"} missing, ${twice || "nothing"} twice.`;
  }

  /** What fails is told, unless something else was asked for since. */
  async function attempt(mine, action) {
    if (mine !== turn) return;
    await action().catch((error) => {
      if (mine === turn) told.textContent = error.message;
    });
  }

  let cut = null; // a promise of the number after which the line was cut
  button.addEventListener("click", () => {
    const mine = (turn += 1);
    const isCut = !network.isCut;
    button.setAttribute("aria-pressed", isCut);
    button.textContent = isCut ? "Mend the line" : "Cut the line";
    side.classList.toggle("lost", isCut);
    if (isCut) {
      network.cut();
      heard = [];
      cut = place ? Promise.resolve(at()) : conversation().then(at);
      void attempt(mine, async () => {
        const number = await cut;
        if (mine !== turn) return;
        told.textContent = `Cut after number ${number}. Write on both sides: what ${capital(me)} writes waits here.`;
      });
    } else {
      network.mend();
      setTimeout(attempt, 500, mine, async () => tell(await cut, mine));
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
