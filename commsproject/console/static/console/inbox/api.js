// What the page asks the service, by the session of who is signed in.

import { root, setNow } from "./dom.js";

/** A network may swallow a request without a word. */
const LONGEST_MS = 30_000;

export const options = JSON.parse(root.dataset.options);

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.errors?.[0]?.message ?? problem.detail ?? "The service cannot be reached.");
    this.status = status;
  }

  /** Whether the same may go well later. */
  get isTemporary() {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }
}

const token = () => document.querySelector("[name=csrfmiddlewaretoken]").value;
const url = (path, query) => {
  const asked = new URLSearchParams(query).toString();
  return `${options.base}${path}${asked ? `?${asked}` : ""}`;
};

export const get = (path, query) => call(url(path, query), { headers: { Accept: "application/json" } });

export const post = (path, body) =>
  call(url(path), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
    body: JSON.stringify(body),
  });

async function call(where, asked) {
  let answer;
  try {
    answer = await fetch(where, { ...asked, redirect: "manual", signal: AbortSignal.timeout(LONGEST_MS) });
  } catch {
    throw new Refused(0, {});
  }
  setNow(answer.headers.get("Date"));
  if (answer.type === "opaqueredirect") throw new Refused(401, { detail: "You are signed out: load the page again." });
  const content = await answer.json().catch(() => ({ detail: `The service answered ${answer.status}.` }));
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
}

/** Tells how much of it is there, from 0 to 1. */
export function upload(path, file, told) {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", url(path));
    request.setRequestHeader("X-CSRFToken", token());
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => told(loaded / total);
    request.onerror = () => failed(new Refused(0, {}));
    request.onload = () =>
      request.status === 200 ? done(request.response) : failed(new Refused(request.status, request.response ?? {}));
    request.send(form);
  });
}

export const file = (id, small = false) => url(`file/${id}`, small ? { small: 1 } : {});
