// What the person does, one at a time per kind, and the server's word when it says no.

import type { Action } from "../api/words";
import { Refusal, type Connection } from "./connection.svelte";

const SHOWN_MS = 12000;

export class Deeds {
  refusal = $state<Refusal | null>(null);
  busy = $state<Action["name"] | null>(null);
  #timer = 0;

  constructor(readonly connection: Connection) {}

  /** Do it; false when it was refused (which is shown). A second click while the first is under way does nothing. */
  async do(action: Action): Promise<boolean> {
    if (this.busy === action.name) return false;
    this.busy = action.name;
    this.dismiss();
    try {
      await this.connection.act(action);
      return true;
    } catch (failure) {
      if (!(failure instanceof Refusal)) throw failure;
      this.refusal = failure;
      this.#timer = window.setTimeout(() => this.dismiss(), SHOWN_MS);
      return false;
    } finally {
      if (this.busy === action.name) this.busy = null;
    }
  }

  dismiss(): void {
    clearTimeout(this.#timer);
    this.refusal = null;
  }
}
