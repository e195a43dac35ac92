// Everything that calls the agent back to this window while a contact is offered: sound, a desktop notice, a title that
// changes. Only one tab does it, and it ends in all of them at once.

import type { Pop } from "../api/words";
import { plain } from "../words/labels";
import { bell } from "./bell.svelte";
import { Leader } from "./leader";

const TITLE = "Offhook";

class Alarm {
  readonly #leader = new Leader();
  #offer: string | null = null;
  #quieted: string | null = null;
  #notice: Notification | null = null;
  #flash = 0;

  constructor() {
    this.#leader.onQuiet((offer) => {
      this.#quieted = offer;
      if (offer === this.#offer) this.#stop();
    });
  }

  /** Ring for this offered pop; null: nothing to ring for. */
  set(pop: Pop | null): void {
    const offer = pop?.offer ?? null;
    if (offer === this.#offer) return;
    this.#stop();
    this.#offer = offer;
    if (pop !== null && offer !== this.#quieted) void this.#start(pop);
  }

  /** The agent has decided: no tab rings for this offer any more. */
  quiet(offer: string): void {
    this.#leader.quiet(offer);
  }

  async #start(pop: Pop): Promise<void> {
    if (!(await this.#leader.mayRing(pop.offer))) return;
    if (this.#offer !== pop.offer || this.#quieted === pop.offer) return;
    bell.start();
    document.documentElement.dataset["ringing"] = pop.offer;
    let isOn = false;
    const title = `Call for ${plain(pop.queue_name, 40)}`;
    const flash = () => {
      isOn = !isOn;
      document.title = isOn ? `● ${title}` : TITLE;
    };
    flash();
    this.#flash = window.setInterval(flash, 1000);
    this.#notify(pop, title);
  }

  #notify(pop: Pop, title: string): void {
    if (!("Notification" in window) || Notification.permission !== "granted" || document.hasFocus()) return;
    const who = pop.profile?.name ?? pop.ani_display;
    this.#notice = new Notification(title, { body: plain(`${who} · ${pop.reason}`, 120), tag: pop.offer });
    this.#notice.onclick = () => window.focus();
  }

  #stop(): void {
    bell.stop();
    clearInterval(this.#flash);
    delete document.documentElement.dataset["ringing"];
    document.title = TITLE;
    this.#notice?.close();
    this.#notice = null;
  }
}

export const alarm = new Alarm();
