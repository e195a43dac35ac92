// The server's time in this browser. Every message carries the server's `at`; the least delayed one tells the offset
// best, so the largest offset wins until the next snapshot. `seconds` ticks once a second for every figure that moves.

class ServerClock {
  seconds = $state(Math.floor(Date.now() / 1000));
  #offset = Date.now() / 1000 - performance.now() / 1000;
  #isSet = false;

  constructor() {
    setInterval(() => this.#tick(), 200);
  }

  /** Unix seconds by the server's clock, with fractions. */
  now(): number {
    return performance.now() / 1000 + this.#offset;
  }

  /** Learn from a message that left the server at `at`; a snapshot starts afresh. */
  hear(at: number, isSnapshot: boolean): void {
    const offset = at - performance.now() / 1000;
    if (!this.#isSet || isSnapshot || offset > this.#offset) this.#offset = offset;
    this.#isSet = true;
    this.#tick();
  }

  #tick(): void {
    const seconds = Math.floor(this.now());
    if (seconds !== this.seconds) this.seconds = seconds;
  }
}

export const clock = new ServerClock();
