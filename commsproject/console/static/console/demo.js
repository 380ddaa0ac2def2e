// Two people write to each other: the smallest client that loses nothing and shows nothing twice.
// docs/subsystems/live.md says what it does and why.

const { me, other, token } = document.body.dataset;
const list = document.getElementById("entries");
const state = document.getElementById("state");
const typing = document.getElementById("typing");
const dot = document.getElementById("presence");
const form = document.getElementById("form");
const box = document.getElementById("body");

const entries = new Map(); // seq -> entry
const waiting = new Map(); // client_id -> text, until its entry comes
let marks = { read: 0, delivered: 0 }; // the other's
let conversation, head, socket, typingTimer, saidTyping = 0, failures = 0;

async function api(method, path, body) {
  const answer = await fetch(`/api/v1/${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path.split("?")[0]}: ${answer.status}`);
  return answer.json();
}

// --- What is known ---------------------------------------------------------------------------

function take(entry) {
  const known = entries.get(entry.seq);
  if (known && known.changed_seq > entry.changed_seq) return;
  entries.set(entry.seq, entry);
  mark(entry.author, "read", entry.seq); // who writes has read what was before
  if (entry.author.id === me) waiting.delete(entry.client_id);
  else if (entry.kind === "text") typing.textContent = "";
}

function mark(person, kind, seq) {
  if (person.id !== other) return;
  marks[kind] = Math.max(marks[kind], seq);
  if (kind === "read") marks.delivered = Math.max(marks.delivered, seq);
}

async function fetchMarks() {
  for (const one of await api("GET", `conversations/${conversation}/participants`)) {
    mark(one, "read", one.read_seq);
    mark(one, "delivered", one.delivered_seq);
  }
  draw();
}

async function fetchAll() {
  const path = `conversations/${conversation}/entries`;
  let page = await api("GET", head === undefined ? path : `${path}?after=${head}&limit=200`);
  for (;;) {
    page.results.forEach(take);
    head = Math.max(head ?? 0, ...page.results.map((one) => one.changed_seq));
    if (!page.next) break;
    page = await api("GET", page.next.split("/api/v1/")[1]);
  }
  draw();
}

// --- What is shown ---------------------------------------------------------------------------

function draw() {
  const isAtEnd = list.parentElement.scrollHeight - list.parentElement.scrollTop
    - list.parentElement.clientHeight < 80;
  const shown = [...entries.values()].sort((a, b) => a.seq - b.seq).map(item);
  list.replaceChildren(...shown, ...[...waiting].map(([id, text]) => pending(id, text)));
  if (isAtEnd) list.parentElement.scrollTop = list.parentElement.scrollHeight;
}

function item(entry) {
  const row = document.createElement("li");
  row.dataset.seq = entry.seq;
  row.classList.toggle("mine", entry.author.id === me);
  row.classList.toggle("deleted", Boolean(entry.deleted_at));
  const words = document.createElement("div");
  if (entry.deleted_at) words.textContent = "Deleted";
  else words.innerHTML = entry.html; // made safe by the service
  const about = document.createElement("span");
  about.className = "meta";
  const at = new Date(entry.created_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  about.textContent = entry.author.id === me ? `${at} ${receipt(entry)}` : at;
  row.append(words, about);
  return row;
}

function receipt(entry) {
  if (marks.read >= entry.seq) return "Read";
  return marks.delivered >= entry.seq ? "Delivered" : "Sent";
}

function pending(id, text) {
  const row = document.createElement("li");
  row.className = "mine waiting";
  row.dataset.waiting = id;
  row.textContent = text;
  return row;
}

function tell(text, isLost = false) {
  state.textContent = text;
  state.classList.toggle("lost", isLost);
}

// --- The socket ------------------------------------------------------------------------------

function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function sendWaiting() {
  for (const [client_id, body] of waiting) send({ type: "send", id: client_id, conversation, client_id, body });
}

function seen() {
  const type = document.visibilityState === "visible" ? "read" : "delivered";
  send({ type, conversation, seq: head });
}

function look() {
  const isHere = document.visibilityState === "visible";
  send({ type: "presence", state: isHere ? "active" : "away", ...(isHere && { looking_at: { conversations: conversation } }) });
  if (isHere) seen();
}

async function connect() {
  const after = Math.min(1000 * 2 ** failures, 15000) * (0.5 + Math.random() / 2);
  try {
    await fetchAll();
    const { ticket } = await api("POST", "ws-ticket");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/ws/`, ["comms.v1", `ticket.${ticket}`]);
  } catch (error) {
    failures += 1;
    tell("Reconnecting", true);
    setTimeout(connect, after);
    return;
  }
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = () => {
    failures += 1;
    tell("Reconnecting", true);
    dot.className = "presence";
    setTimeout(connect, after);
  };
}

function hear(frame) {
  switch (frame.type) {
    case "hello":
      send({ type: "subscribe", id: "subscribe", conversations: { [conversation]: head } });
      send({ type: "presence.watch", users: [other] });
      break;
    case "ack":
      if (frame.id !== "subscribe") break;
      failures = 0;
      tell("Connected");
      fetchMarks().catch(() => {}); // frames of marks have no number: what was missed is asked for
      sendWaiting();
      look();
      break;
    case "entry":
    case "entry.changed":
      head = frame.seq;
      take(frame.entry);
      seen();
      break;
    case "resync":
      fetchAll().then(seen);
      break;
    case "read":
    case "delivered":
      mark(frame.person, frame.type, frame.seq);
      break;
    case "presence":
      if (frame.user_id === other) dot.className = `presence ${frame.state}`;
      return;
    case "typing":
      typing.textContent = `${frame.person.id} is writing`;
      clearTimeout(typingTimer);
      typingTimer = setTimeout(() => { typing.textContent = ""; }, frame.lasts_ms);
      return;
    default:
      return;
  }
  draw();
}

// --- The person ------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = box.value.trim();
  if (!text) return;
  box.value = "";
  saidTyping = 0;
  waiting.set(crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, text);
  draw();
  list.parentElement.scrollTop = list.parentElement.scrollHeight;
  sendWaiting();
});

box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

box.addEventListener("input", () => {
  if (Date.now() - saidTyping < 2500) return;
  saidTyping = Date.now();
  send({ type: "typing", conversation });
});

document.addEventListener("visibilitychange", look);

async function begin() {
  try {
    ({ id: conversation } = await api("POST", "conversations", { kind: "direct", participants: [other] }));
  } catch {
    tell("Reconnecting", true);
    setTimeout(begin, 2000);
    return;
  }
  connect();
}

begin();
