// Which of an agent's tabs makes noise: exactly one. Web Locks name it where the page is in a secure context; elsewhere
// the tabs agree at each ring over a BroadcastChannel, so that a frozen or crashed tab can never hold the bell.

const CLAIM_MS = 60;

interface Claim {
  offer: string;
  tab: string;
}

export class Leader {
  #leads: Promise<void> | null = null;
  readonly #tab = crypto.getRandomValues(new Uint32Array(2)).join("-");
  readonly #channel = new BroadcastChannel("offhook-bell");
  readonly #heard = new Map<string, string>();
  readonly #mine = new Set<string>();
  #onQuiet: (offer: string) => void = () => {};

  constructor() {
    if (navigator.locks !== undefined) {
      this.#leads = new Promise((lead) => {
        void navigator.locks.request("offhook-bell", () => {
          lead();
          return new Promise<void>(() => {});
        });
      });
    }
    this.#channel.onmessage = (message: MessageEvent<Claim & { quiet?: boolean }>) => {
      const { offer, tab, quiet } = message.data;
      if (quiet === true) return this.#onQuiet(offer);
      const least = this.#heard.get(offer);
      if (least === undefined || tab < least) this.#heard.set(offer, tab);
      // Who already rings answers a late claim, and keeps ringing.
      if (this.#mine.has(offer) && tab !== "") this.#channel.postMessage({ offer, tab: "" });
    };
  }

  /** Whether this tab rings for this offer; may come late, when the tab that rang is closed and this one takes over. */
  async mayRing(offer: string): Promise<boolean> {
    if (this.#leads !== null) return this.#leads.then(() => true);
    this.#channel.postMessage({ offer, tab: this.#tab });
    await new Promise((resolve) => setTimeout(resolve, CLAIM_MS));
    const least = this.#heard.get(offer);
    this.#heard.delete(offer);
    const rings = least === undefined || this.#tab < least;
    if (rings) this.#mine.add(offer);
    return rings;
  }

  /** Stop the ringing of this offer in every tab, whichever rings. */
  quiet(offer: string): void {
    this.#channel.postMessage({ offer, tab: this.#tab, quiet: true });
    this.#onQuiet(offer);
  }

  onQuiet(stop: (offer: string) => void): void {
    this.#onQuiet = stop;
  }
}
