// The ring: two soft notes from an oscillator, no file. A browser makes no sound until the person has touched the page;
// `state` says whether it would, so that the page can say so too.

const CHOICE = "offhook.sound";
const EVERY_MS = 2400;

class Bell {
  isWanted = $state(localStorage.getItem(CHOICE) !== "off");
  isBlocked = $state(true);
  #context: AudioContext | null = null;
  #timer = 0;

  constructor() {
    const unlock = () => void this.unlock();
    addEventListener("pointerdown", unlock);
    addEventListener("keydown", unlock);
  }

  want(isWanted: boolean): void {
    this.isWanted = isWanted;
    localStorage.setItem(CHOICE, isWanted ? "on" : "off");
    if (!isWanted) this.stop();
    else void this.unlock();
  }

  /** Call from a key or click: makes the sound possible. */
  async unlock(): Promise<void> {
    if (!this.isWanted || !this.isBlocked) return;
    this.#context ??= new AudioContext();
    await this.#context.resume();
    this.isBlocked = this.#context.state !== "running";
  }

  start(): void {
    if (this.#timer !== 0) return;
    this.#ring();
    this.#timer = window.setInterval(() => this.#ring(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = 0;
    if (this.#context !== null && !this.isBlocked) {
      // A note already scheduled would sound on for half a second.
      void this.#context.close();
      this.#context = new AudioContext();
    }
  }

  #ring(): void {
    if (this.#context === null || !this.isWanted || this.isBlocked) return;
    const start = this.#context.currentTime;
    this.#note(this.#context, 660, start);
    this.#note(this.#context, 880, start + 0.22);
  }

  #note(context: AudioContext, pitch: number, at: number): void {
    const oscillator = context.createOscillator();
    const loudness = context.createGain();
    oscillator.type = "sine";
    oscillator.frequency.value = pitch;
    loudness.gain.setValueAtTime(0, at);
    loudness.gain.linearRampToValueAtTime(0.22, at + 0.02);
    loudness.gain.exponentialRampToValueAtTime(0.001, at + 0.5);
    oscillator.connect(loudness).connect(context.destination);
    oscillator.start(at);
    oscillator.stop(at + 0.55);
  }
}

export const bell = new Bell();
