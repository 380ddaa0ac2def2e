// What happens just now, by the socket; it comes back by itself.

const WAITS = [1, 2, 5, 10, 30];

export async function listen(ticketUrl, { told, state }) {
  for (let tries = 0; ; tries += 1) {
    const opened = Date.now();
    try {
      await once(ticketUrl, told, state);
    } catch {
      // the same as a socket that closes
    }
    state(false);
    if (Date.now() - opened > 60_000) tries = 0;
    const wait = WAITS[Math.min(tries, WAITS.length - 1)] * (0.5 + Math.random());
    await new Promise((resume) => setTimeout(resume, wait * 1000));
  }
}

async function once(ticketUrl, told, state) {
  const answer = await fetch(ticketUrl, {
    method: "POST",
    headers: { "X-CSRFToken": token() },
  });
  if (!answer.ok) throw new Error("no ticket");
  const { ticket } = await answer.json();
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws/`, ["comms.v1", `ticket.${ticket}`]);
  await new Promise((ended) => {
    socket.onopen = () => socket.send(JSON.stringify({ type: "subscribe", id: "a", analytics: { now: 0 } }));
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "ack") state(!frame.refused?.length);
      if (frame.type === "analytics") told(frame);
    };
    socket.onclose = ended;
    socket.onerror = ended;
  });
}

function token() {
  const field = document.querySelector("input[name=csrfmiddlewaretoken]");
  return field?.value ?? document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}
