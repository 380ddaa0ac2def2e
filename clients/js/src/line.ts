/** The socket: opened with a ticket, and opened again after every end of it. */

import { CommsError, refusal } from "./http.js";
import type { Hello, Problem } from "./wire.js";

export type Frame = { type: string } & Record<string, unknown>;
export type SocketClass = new (url: string, protocols: string[]) => WebSocket;

export interface LineOptions {
  url: string;
  ticket: () => Promise<string>;
  WebSocket?: SocketClass;
}

export interface Listener {
  /** The service has said hello. What is thrown ends the connection, which is then tried again. */
  opened(hello: Hello): Promise<void>;
  heard(frame: Frame): void;
  /**
   * `retryAt`: when the next attempt is due, in milliseconds since 1970; none: never, by itself.
   * `error`: why there is no connection, by its code: `crowd`, `no_socket`, `no_token`, `unreachable`.
   */
  changed(state: State, retryAt?: number, error?: CommsError): void;
  /** The login is over: a new attempt needs a new token. */
  ended(): void;
  signedOut(error: CommsError): void;
}

/** `live`: what is subscribed to comes. */
export type State = "offline" | "connecting" | "live";

const HELLO_MS = 15_000;
const ANSWER_MS = 20_000;
const PROBE_MS = 5_000;
const SLACK_MS = 5_000;
const LONGEST_MS = 30_000;
/** So many sockets in a row that end before a word came: none gets through. */
const BLOCKED = 2;
/** The end of what nobody has answered. */
const SILENT = new Set([1005, 1006]);

const enum Code {
  UNAUTHENTICATED = 4401,
  ENDED = 4403,
  FLOOD = 4429,
  CROWD = 4430,
}

/** At least so long after a close code. */
const FLOORS: Record<number, number> = { [Code.FLOOD]: 5_000, [Code.CROWD]: 10_000 };
/** A restart, a lost connection: everybody comes back at the time that was given to them. */
const SPREAD = new Set([1001, 1005, 1006, 1012]);

/**
 * Milliseconds until the next attempt. `failures`: attempts since the last one that went well. Full
 * jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function pause(code: number, failures: number, hint: number, random = Math.random()): number {
  if (failures === 0 && SPREAD.has(code)) return hint;
  return Math.max(FLOORS[code] ?? 0, random * Math.min(LONGEST_MS, 500 * 2 ** failures));
}

interface Waiting {
  resolve: (answer: Frame) => void;
  reject: (error: CommsError) => void;
  timer: ReturnType<typeof setTimeout>;
}

export class Line {
  state: State = "offline";
  #wanted = false;
  #socket: WebSocket | null = null;
  #hello: Hello | null = null;
  #failures = 0;
  #attempt = 0;
  #unheard = 0;
  #ids = 0;
  #waiting = new Map<string, Waiting>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #unlisten: (() => void) | null = null;

  constructor(
    private readonly options: LineOptions,
    private readonly listener: Listener,
  ) {}

  connect(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#unlisten = this.#listen();
    void this.#open();
  }

  close(): void {
    this.#wanted = false;
    this.#unlisten?.();
    this.#drop();
    this.#become("offline");
  }

  /** End this connection, to open another: what it said cannot be relied on. */
  cut(): void {
    if (this.#socket) this.#lost(1006);
  }

  get isOpen(): boolean {
    return this.#hello !== null;
  }

  send(frame: Frame): void {
    if (this.#hello && this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** The `ack`. Rejects with what the service says, or `unreachable` where the connection ends. */
  ask(frame: Frame): Promise<Frame> {
    if (!this.isOpen) return Promise.reject(lost());
    const id = String((this.#ids += 1));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.cut(), ANSWER_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.send({ ...frame, id });
    });
  }

  // --- Opening -----------------------------------------------------------------------------------

  async #open(): Promise<void> {
    const attempt = (this.#attempt += 1);
    clearTimeout(this.#retry);
    this.#become("connecting");
    try {
      const ticket = await this.options.ticket();
      if (attempt !== this.#attempt) return;
      const Socket = this.options.WebSocket ?? globalThis.WebSocket;
      if (!Socket) throw noSocket("No WebSocket: give one as an option.");
      this.#attach(new Socket(this.options.url, ["comms.v1", `ticket.${ticket}`]));
    } catch (error) {
      if (attempt === this.#attempt) this.#refused(error);
    }
  }

  #attach(socket: WebSocket): void {
    this.#socket = socket;
    this.#watch(HELLO_MS);
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#heard(JSON.parse(String(data)) as Frame);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(code);
    };
  }

  #refused(error: unknown): void {
    if (error instanceof CommsError && (error.status === 401 || error.status === 403)) {
      this.close();
      this.listener.signedOut(error);
      return;
    }
    const why = error instanceof CommsError ? error : lost();
    this.#unheard = 0;
    this.#later(Math.max((why.retryAfter ?? 0) * 1000, pause(0, (this.#failures += 1), 0)), why);
  }

  #heard(frame: Frame): void {
    if (this.#hello) this.#watch(this.#hello.heartbeat_ms * 2 + SLACK_MS);
    switch (frame.type) {
      case "hello":
        void this.#greeted(frame as unknown as Hello);
        return;
      case "ack":
      case "pong":
        this.#settle(frame)?.resolve(frame);
        return;
      case "error": {
        const problem = frame as unknown as Problem & { retry_after?: number };
        const waiting = this.#settle(frame);
        if (waiting) waiting.reject(refusal(400, problem, problem.retry_after));
        else this.listener.heard(frame);
        return;
      }
      default:
        this.listener.heard(frame);
    }
  }

  async #greeted(hello: Hello): Promise<void> {
    this.#hello = hello;
    this.#unheard = 0;
    this.#watch(hello.heartbeat_ms * 2 + SLACK_MS);
    const socket = this.#socket;
    try {
      await this.listener.opened(hello);
    } catch {
      if (socket === this.#socket) this.cut();
      return;
    }
    if (socket !== this.#socket) return;
    this.#failures = 0;
    this.#become("live");
  }

  #settle(frame: Frame): Waiting | undefined {
    const waiting = this.#waiting.get(String(frame["id"]));
    this.#waiting.delete(String(frame["id"]));
    clearTimeout(waiting?.timer);
    return waiting;
  }

  // --- The end of a connection -------------------------------------------------------------------

  #lost(code: number): void {
    const hint = this.#hello?.reconnect_after_ms ?? 0;
    const wasOpen = this.isOpen;
    this.#drop();
    if (code === Code.ENDED) this.listener.ended();
    this.#unheard = wasOpen || !SILENT.has(code) ? 0 : this.#unheard + 1;
    this.#later(pause(code, wasOpen ? this.#failures : this.#failures + 1, hint), this.#why(code));
    this.#failures += 1;
  }

  #why(code: number): CommsError {
    if (code === Code.CROWD) return new CommsError(0, "crowd", "Too many connections.");
    return this.#unheard < BLOCKED ? lost() : noSocket("No WebSocket.");
  }

  #drop(): void {
    this.#attempt += 1;
    clearTimeout(this.#retry);
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = this.#hello = null;
    socket?.close();
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(lost());
    }
    this.#waiting.clear();
  }

  #later(wait: number, error: CommsError): void {
    if (!this.#wanted) return;
    this.#become("offline", Date.now() + wait, error);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#open(), wait);
  }

  #become(state: State, retryAt?: number, error?: CommsError): void {
    if (state === this.state && retryAt === undefined) return;
    this.state = state;
    this.listener.changed(state, retryAt, error);
  }

  // --- Is anybody there? -------------------------------------------------------------------------

  /** Without a word for so long the connection is dead, though nothing says so. */
  #watch(wait: number): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.cut(), wait);
  }

  #probe(): void {
    if (!this.#wanted) return;
    if (this.isOpen) {
      this.#watch(PROBE_MS);
      this.send({ type: "ping" });
    } else if (this.#socket === null && this.state === "offline") {
      void this.#open();
    }
  }

  /** The browser knows when the network or the person is back. */
  #listen(): () => void {
    if (!globalThis.document) return () => undefined;
    const heard = new AbortController();
    const seen = () => document.visibilityState === "visible" && this.#probe();
    addEventListener("online", () => this.#probe(), heard);
    addEventListener("offline", () => this.cut(), heard);
    addEventListener("pageshow", seen, heard);
    document.addEventListener("visibilitychange", seen, heard);
    return () => heard.abort();
  }
}

function noSocket(message: string): CommsError {
  return new CommsError(0, "no_socket", message);
}

function lost(): CommsError {
  return new CommsError(0, "unreachable", "The connection was lost.");
}
