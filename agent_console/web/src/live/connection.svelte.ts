// One browser's dialogue with the console: hello, resume, acknowledge, act, and come back with jitter when the link is
// lost. It never sends an action twice: one without an answer when the link goes is reported, and the person decides.

import type { Action, FromServer, ToServer } from "../api/words";
import { clock } from "./server_clock.svelte";
import { View } from "./view.svelte";

const ACK_EVERY = 16;
const ACK_AFTER_MS = 100;
const ACTION_DEADLINE_MS = 8000;
const QUIET_BEFORE_PROBE_MS = 15000;
const PROBE_DEADLINE_MS = 4000;
const LONGEST_PAUSE_MS = 8000;

/** The server's no, or our own when there is no server: `code` is stable, `why` is for the person. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    readonly why: string,
  ) {
    super(why);
  }
}

interface Waiting {
  done: () => void;
  refused: (refusal: Refusal) => void;
  deadline: number;
}

export class Connection {
  readonly view = new View();
  state = $state<"connecting" | "open" | "lost">("connecting");
  lostAt = $state<Date | null>(null);
  #socket: WebSocket | null = null;
  #epoch: string | null = null;
  #seq = 0;
  #untold = 0;
  #ackTimer = 0;
  #tries = 0;
  #retryTimer = 0;
  #quietTimer = 0;
  #isClosed = false;
  #nextId = 1;
  readonly #waiting = new Map<string, Waiting>();

  /** `onRefused` is called when the server won't open a socket for us: the session may be over. */
  constructor(readonly onRefused: () => void) {
    addEventListener("online", this.#hurry);
    addEventListener("offline", this.#cut);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#open();
  }

  close(): void {
    this.#isClosed = true;
    removeEventListener("online", this.#hurry);
    removeEventListener("offline", this.#cut);
    document.removeEventListener("visibilitychange", this.#hurry);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#quietTimer);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  /** Ask for an action. Rejects with Refusal. */
  act(action: Action): Promise<void> {
    if (this.state !== "open") {
      return Promise.reject(new Refusal("not-connected", "There is no connection to the server just now."));
    }
    const id = String(this.#nextId++);
    return new Promise((done, refused) => {
      const deadline = window.setTimeout(() => {
        this.#waiting.delete(id);
        refused(new Refusal("no-answer", "The server did not answer in time. Look before you try again."));
      }, ACTION_DEADLINE_MS);
      this.#waiting.set(id, { done, refused, deadline });
      this.#send({ type: "do", id, action });
    });
  }

  /** Tell the server that this version of this offer's pop is on the screen. */
  painted(offer: string, version: number): void {
    this.#send({ type: "painted", offer, version });
  }

  #open(): void {
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    let wasOpen = false;
    this.#socket = socket;
    socket.onopen = () => {
      wasOpen = true;
      this.#send({ type: "hello", client: "browser", epoch: this.#epoch, seq: this.#seq });
      this.#watch();
    };
    socket.onmessage = (message) => {
      if (socket === this.#socket) this.#hear(JSON.parse(String(message.data)) as FromServer);
    };
    socket.onclose = (event) => {
      if (socket !== this.#socket) return;
      this.#lost();
      if (!wasOpen || event.code === 1008 || event.code >= 4400) this.onRefused();
    };
  }

  #hear(message: FromServer): void {
    this.#watch();
    switch (message.type) {
      case "snapshot":
        this.#epoch = message.epoch;
        this.#seq = message.seq;
        clock.hear(message.at, true);
        this.view.snapshot(message.view, message.at);
        return this.#settled();
      case "resumed":
        this.#epoch = message.epoch;
        clock.hear(message.at, true);
        return this.#settled();
      case "put":
      case "drop":
        if (message.seq <= this.#seq) return;
        this.#seq = message.seq;
        clock.hear(message.at, false);
        if (message.type === "put") this.view.put(message.key, message.value, message.at);
        else this.view.drop(message.key);
        return this.#settled();
      case "done":
        return this.#answered(message.id)?.done();
      case "refused":
        return this.#answered(message.id)?.refused(new Refusal(message.code, message.why));
    }
  }

  #settled(): void {
    this.#tries = 0;
    this.lostAt = null;
    this.state = "open";
    if (++this.#untold >= ACK_EVERY) this.#ack();
    else if (this.#ackTimer === 0) this.#ackTimer = window.setTimeout(() => this.#ack(), ACK_AFTER_MS);
  }

  #ack(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = 0;
    this.#untold = 0;
    this.#send({ type: "ack", seq: this.#seq });
  }

  #answered(id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting !== undefined) clearTimeout(waiting.deadline);
    return waiting;
  }

  #send(message: ToServer): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #lost(): void {
    this.#socket = null;
    clearTimeout(this.#quietTimer);
    clearTimeout(this.#ackTimer);
    this.#ackTimer = 0;
    if (this.#isClosed) return;
    if (this.state !== "lost") this.lostAt = new Date();
    this.state = "lost";
    for (const id of [...this.#waiting.keys()]) {
      this.#answered(id)?.refused(new Refusal("link-lost", "The connection broke before the server answered."));
    }
    // Full jitter, so that a floor of browsers does not come back in one instant.
    const pause = Math.random() * Math.min(LONGEST_PAUSE_MS, 300 * 2 ** this.#tries++);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = window.setTimeout(() => this.#open(), 50 + pause);
  }

  readonly #hurry = (): void => {
    if (this.#isClosed || this.#socket !== null || document.hidden) return;
    clearTimeout(this.#retryTimer);
    this.#open();
  };

  readonly #cut = (): void => {
    const socket = this.#socket;
    if (socket === null) return;
    this.#lost();
    socket.close();
  };

  // A browser can't ping over a WebSocket, and a pulled cable or a frozen server closes nothing: after a quiet spell ask.
  #watch(): void {
    clearTimeout(this.#quietTimer);
    this.#quietTimer = window.setTimeout(() => void this.#probe(), QUIET_BEFORE_PROBE_MS);
  }

  async #probe(): Promise<void> {
    const socket = this.#socket;
    try {
      await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_DEADLINE_MS) });
      if (socket !== null && socket === this.#socket) this.#watch();
    } catch {
      if (socket !== null && socket === this.#socket) this.#cut();
    }
  }
}
