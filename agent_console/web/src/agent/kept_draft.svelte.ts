// What the agent has typed of one contact. The server keeps it: saved every 2 s while it changes, and at once when the
// page is about to go; what another tab typed is taken over while nothing is unsaved here.

import type { DraftKept } from "../api/words";
import type { Connection } from "../live/connection.svelte";

const SAVE_EVERY_MS = 2000;

export class KeptDraft {
  disposition = $state("");
  note = $state("");
  savedAt = $state<Date | null>(null);
  #saved = $state({ disposition: "", note: "" });
  #isSaving = false;
  readonly #timer: number;

  constructor(
    readonly connection: Connection,
    readonly call: string,
  ) {
    this.#timer = window.setInterval(() => void this.save(), SAVE_EVERY_MS);
    addEventListener("pagehide", this.#leave);
    document.addEventListener("visibilitychange", this.#leave);
  }

  get isUnsaved(): boolean {
    return this.disposition !== this.#saved.disposition || this.note !== this.#saved.note;
  }

  /** Take over what the server keeps, unless something here is newer. */
  adopt(draft: DraftKept | null): void {
    if (draft === null || draft.call !== this.call || this.isUnsaved || this.#isSaving) return;
    this.#saved = { disposition: draft.disposition, note: draft.note };
    this.disposition = draft.disposition;
    this.note = draft.note;
  }

  async save(): Promise<void> {
    if (!this.isUnsaved || this.#isSaving || this.connection.state !== "open") return;
    const sent = { disposition: this.disposition, note: this.note };
    this.#isSaving = true;
    try {
      await this.connection.act({ name: "draft", call: this.call, ...sent });
      this.#saved = sent;
      this.savedAt = new Date();
    } catch {
      // Still unsaved, and shown as such; the next round tries again.
    } finally {
      this.#isSaving = false;
    }
  }

  /** The contact is written up: nothing is left to save. */
  finished(): void {
    this.#saved = { disposition: this.disposition, note: this.note };
  }

  close(): void {
    clearInterval(this.#timer);
    removeEventListener("pagehide", this.#leave);
    document.removeEventListener("visibilitychange", this.#leave);
    void this.save();
  }

  readonly #leave = (): void => {
    if (document.visibilityState === "hidden" || !document.hasFocus()) void this.save();
  };
}
