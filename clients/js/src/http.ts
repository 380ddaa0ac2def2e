/** Requests to the service's REST API, in the name of one person. */

import type { Problem } from "./wire.js";

/** What the service refused, or `status` 0 where it could not be reached. */
export class CommsError extends Error {
  override name = "CommsError";

  constructor(
    readonly status: number,
    /** Stable, for programs: `not_found`, `rate_limited`; `unreachable` where there was no answer. */
    readonly code: string,
    message: string,
    readonly errors: NonNullable<Problem["errors"]> = [],
    /** Seconds. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }

  /** Whether the same may succeed later. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status >= 500 || TEMPORARY.has(this.code);
  }
}

const TEMPORARY = new Set(["rate_limited", "unavailable", "internal", "service_unavailable"]);

export function refusal(status: number, problem: Partial<Problem>, retryAfter?: number): CommsError {
  const message = problem.detail || problem.title || `The service answered ${status}.`;
  return new CommsError(status, problem.code ?? "error", message, problem.errors, retryAfter);
}

export type TokenSource = () => string | Promise<string>;

export interface HttpOptions {
  /** Of the service: `https://comms.example.com`. The page's own origin unless told. */
  url?: string;
  /** Gives the user's token; asked again when the last one ends or is refused. */
  token?: TokenSource;
  /** Instead of a token: what each request says, and whether cookies go with it. */
  headers?: () => Record<string, string>;
  credentials?: RequestCredentials;
  fetch?: typeof fetch;
  /** For uploads. */
  XMLHttpRequest?: typeof XMLHttpRequest;
}

export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

export interface Upload {
  /** 0 to 1. */
  onProgress?: (part: number) => void;
  signal?: AbortSignal;
}

const EARLY_MS = 30_000;
/** A network may swallow a request without a word, and an upload in the middle of it. */
const LONGEST_MS = 30_000;

export class Http {
  readonly base: string;
  #token: Promise<string> | null = null;
  #until = Infinity;
  #ahead = 0;

  constructor(readonly options: HttpOptions) {
    this.base = (options.url || globalThis.location?.origin || "").replace(/\/+$/, "");
  }

  /** The address of the socket. */
  get socket(): string {
    return `${this.base.replace(/^http/, "ws")}/ws/`;
  }

  /** By the clock of the service, in milliseconds since 1970: that of a device may be hours wrong. */
  now(): number {
    return Date.now() + this.#ahead;
  }

  /** The next token is asked for anew. */
  forget(): void {
    this.#token = null;
  }

  /** The answer's JSON; null where it has none. Raises `CommsError`. */
  async request<T>(method: string, path: string, body?: unknown, query?: Query): Promise<T> {
    const url = this.#address(path, query);
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#fetch(url, method, body);
      if (answer.status === 401 && this.options.token && attempt === 0) {
        this.forget();
        continue;
      }
      return parsed<T>(answer.status, await answer.text(), answer.headers.get("Retry-After"));
    }
  }

  /** A form with one file. Raises `CommsError`, and what `signal` was aborted with. */
  async upload<T>(path: string, file: Blob, name: string, options: Upload = {}): Promise<T> {
    try {
      return await this.#post<T>(path, file, name, options);
    } catch (error) {
      if (!(error instanceof CommsError && error.status === 401 && this.options.token)) throw error;
      this.forget();
      return this.#post<T>(path, file, name, options);
    }
  }

  /** By XMLHttpRequest, since fetch tells nothing of its progress. */
  async #post<T>(path: string, file: Blob, name: string, { onProgress, signal }: Upload): Promise<T> {
    const form = new FormData();
    form.append("file", file, name);
    const Request = this.options.XMLHttpRequest ?? globalThis.XMLHttpRequest;
    if (!Request) return this.#send<T>(path, form, signal);
    const headers = await this.#headers();
    signal?.throwIfAborted();
    return new Promise<T>((resolve, reject) => {
      const request = new Request();
      let watchdog: ReturnType<typeof setTimeout>;
      const moved = () => {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => request.abort(), LONGEST_MS);
      };
      request.open("POST", this.#address(path));
      for (const [header, value] of Object.entries(headers)) request.setRequestHeader(header, value);
      request.upload.onprogress = (event) => {
        moved();
        onProgress?.(event.total ? event.loaded / event.total : 0);
      };
      request.onloadend = () => clearTimeout(watchdog);
      request.onload = () => {
        try {
          resolve(parsed<T>(request.status, request.responseText, request.getResponseHeader("Retry-After")));
        } catch (error) {
          reject(error);
        }
      };
      request.onerror = () => reject(unreachable());
      request.onabort = () => reject(signal?.reason ?? unreachable());
      signal?.addEventListener("abort", () => request.abort(), { once: true });
      moved();
      request.send(form);
    });
  }

  /** Where there is no XMLHttpRequest. */
  async #send<T>(path: string, form: FormData, signal?: AbortSignal): Promise<T> {
    const answer = await this.#fetch(this.#address(path), "POST", form, signal);
    return parsed<T>(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  }

  #address(path: string, query: Query = {}): string {
    const url = new URL(`${this.base}/api/v1/${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value == null) continue;
      for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(one));
    }
    return url.href;
  }

  async #fetch(url: string, method: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    const headers = await this.#headers();
    const init: RequestInit = {
      method,
      headers,
      credentials: this.options.credentials ?? "omit",
      cache: "no-store",
    };
    if (body instanceof FormData) {
      init.body = body; // however long it takes
      if (signal) init.signal = signal;
    } else init.signal = AbortSignal.timeout(LONGEST_MS);
    if (body !== undefined && !init.body) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(body);
    }
    let answer;
    try {
      answer = await (this.options.fetch ?? fetch)(url, init);
    } catch {
      signal?.throwIfAborted();
      throw unreachable();
    }
    const at = Date.parse(answer.headers.get("Date") ?? "");
    if (at) this.#ahead = at - Date.now();
    return answer;
  }

  async #headers(): Promise<Record<string, string>> {
    if (this.options.token) return { Authorization: `Bearer ${await this.bearer()}` };
    return this.options.headers?.() ?? {};
  }

  /** The last token as long as it holds. */
  async bearer(): Promise<string> {
    if (!this.#token || this.now() > this.#until) {
      this.#until = Infinity;
      this.#token = inTime(Promise.resolve(this.options.token?.() ?? ""));
    }
    try {
      const token = await this.#token;
      const expiry = claim(token, "exp");
      if (typeof expiry === "number") this.#until = expiry * 1000 - EARLY_MS;
      return token;
    } catch (error) {
      this.forget();
      throw error;
    }
  }
}

function parsed<T>(status: number, text: string, retryAfter: string | null): T {
  let body: unknown = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    // a proxy's page
  }
  if (status >= 200 && status < 300) return body as T;
  const seconds = Number(retryAfter);
  throw refusal(status, (body ?? {}) as Partial<Problem>, seconds > 0 ? seconds : undefined);
}

/** Who gives the token may swallow the question, too. */
function inTime<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    AbortSignal.timeout(LONGEST_MS).addEventListener("abort", () => reject(unreachable()));
    promise.then(resolve, reject);
  });
}

function unreachable(): CommsError {
  return new CommsError(0, "unreachable", "The service cannot be reached.");
}

/** A claim of a JWT, unverified; undefined for a token that is none. */
export function claim(token: string, name: string): unknown {
  try {
    const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
    return (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}
