// What the page asks the service, by the session of who is signed in.

import { CommsError } from "../../comms/comms-client.js";
import { root, setNow } from "./dom.js";

/** A network may swallow a request without a word. */
const LONGEST_MS = 30_000;
const STALE = "stale_token";

export const options = JSON.parse(root.dataset.options);

/** Who has opened the page, as the author of what they write. */
export const ME = `staff:${options.me.id}`;

/** Whether who has opened the page is signed in. */
export const session = {
  isOver: false,
  changed: () => {},
  is(isOver) {
    if (isOver === this.isOver) return;
    this.isOver = isOver;
    this.changed();
  },
};

const url = (path, query) => {
  const asked = new URLSearchParams(query).toString();
  return `${options.base}${path}${asked ? `?${asked}` : ""}`;
};

/** `CommsError`s tell what was refused. */
export const get = (path, query) => call(url(path, query), { headers: { Accept: "application/json" } });

export const post = (path, body) =>
  signed((token) =>
    call(url(path), {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify(body),
    }),
  );

async function call(where, asked) {
  let answer;
  try {
    answer = await fetch(where, { ...asked, redirect: "manual", signal: AbortSignal.timeout(LONGEST_MS) });
  } catch {
    throw unreachable();
  }
  setNow(answer.headers.get("Date"));
  if (answer.type === "opaqueredirect") throw signedOut();
  const content = await answer.json().catch(() => null);
  if (answer.ok && content) return content;
  throw refused(answer.status, content, Number(answer.headers.get("Retry-After")));
}

// --- Who is signed in --------------------------------------------------------------------------

const fields = () => document.querySelectorAll("[name=csrfmiddlewaretoken]");

/** An act has the token of the sign-in. Where that is another since, it is asked for again, once. */
async function signed(act) {
  try {
    return await act(fields()[0].value);
  } catch (error) {
    if (error.code !== STALE) throw error;
    await renew();
    return act(fields()[0].value);
  }
}

/** There may be a new sign-in, in another tab. Somebody else begins with a page of their own. */
export async function renew() {
  const { me, token } = await get("session");
  if (me.id !== options.me.id) {
    location.reload();
    await new Promise(() => {}); // and nothing is done in their name
  }
  for (const field of fields()) field.value = token;
  session.is(false);
}

// --- What is refused ---------------------------------------------------------------------------

function refused(status, problem, retryAfter) {
  const said = problem?.errors?.[0]?.message ?? problem?.detail ?? `The service answered ${status}.`;
  const code = problem?.code ?? (status === 403 ? STALE : "error"); // which Django refuses with a page
  return new CommsError(status, code, said, problem?.errors, retryAfter || undefined);
}

function signedOut() {
  session.is(true);
  return new CommsError(401, "signed_out", "You are signed out.");
}

const unreachable = () => new CommsError(0, "unreachable", "The service cannot be reached.");

/** What is to be told of it here: that somebody is signed out stands above all. */
export const reason = ({ status, message }) => (status === 401 ? "" : message);

// --- Files -------------------------------------------------------------------------------------

export const file = (id, small = false) => url(`file/${id}`, small ? { small: 1 } : {});

/** Tells how much of it is there, from 0 to 1. Where nothing moves for long, it is given up. */
export function upload(path, file, { told, signal }) {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  const where = new URL(url(path), location).href;
  return signed(
    (token) =>
      new Promise((done, failed) => {
        const request = new XMLHttpRequest(); // fetch tells nothing of its progress
        let clock;
        const wait = () => {
          clearTimeout(clock);
          clock = setTimeout(() => request.abort(), LONGEST_MS);
        };
        request.open("POST", where);
        request.setRequestHeader("X-CSRFToken", token);
        request.responseType = "json";
        request.upload.onprogress = ({ loaded, total }) => {
          wait();
          told(total ? loaded / total : 0);
        };
        request.onload = () => {
          if (request.responseURL !== where) failed(signedOut());
          else if (request.status === 200 && request.response) done(request.response);
          else failed(refused(request.status, request.response, Number(request.getResponseHeader("Retry-After"))));
        };
        request.onerror = request.onabort = () => failed(unreachable());
        request.onloadend = () => clearTimeout(clock);
        signal.addEventListener("abort", () => request.abort(), { once: true });
        wait();
        request.send(form);
      }),
  );
}
