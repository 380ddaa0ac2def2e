// Requests to the admin's own pages. Every failure is a Failure that says what the author can do.

export class Failure extends Error {
  constructor(message, { status = 0, problem = {} } = {}) {
    super(message);
    this.status = status;
    this.problem = problem;
  }

  get errors() {
    return this.problem.errors ?? [];
  }
}

export class SessionEnded extends Failure {
  constructor() {
    super("Your session has ended. Sign in again in another tab, then come back: what you wrote is kept here.");
  }
}

export async function post(url, body, { signal } = {}) {
  let answer;
  try {
    answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
      body: JSON.stringify(body),
      redirect: "manual",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server cannot be reached. What you wrote is kept in this browser.");
  }
  return read(answer);
}

async function read(answer) {
  const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
  if (answer.type === "opaqueredirect" || (answer.status === 403 && !isJson)) throw new SessionEnded();
  const body = isJson ? await answer.json() : {};
  if (answer.ok && isJson) return body;
  throw new Failure(body.detail ?? `The server could not do it (${answer.status}).`, {
    status: answer.status,
    problem: body,
  });
}

// Signing in again in another tab changes it: the cookie has the present one.
export function token() {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith("csrftoken="));
  return found ? decodeURIComponent(found.slice("csrftoken=".length)) : document.querySelector("[name=csrfmiddlewaretoken]").value;
}
