// When a change is truly on the glass. Two animation frames after the DOM has changed, the first of them has been handed to
// be drawn; where the browser itself says when a new name was drawn (Element Timing), its word is waited for, a little.
// A hidden page draws nothing, so it says so at once, unless a visible tab of the same browser will say it truly.

import { tick } from "svelte";

const VISIBLE_LOCK = "offhook-visible";

/** Milliseconds after the second frame for which the browser's word is waited for: a change that draws no new name has none. */
const WORD_WITHIN_MS = 60;

let drawnAt = 0;
let onDrawn: (() => void)[] = [];

const saysWhenDrawn =
  typeof PerformanceObserver !== "undefined" && PerformanceObserver.supportedEntryTypes.includes("element");
if (saysWhenDrawn) {
  new PerformanceObserver(() => {
    drawnAt = performance.now();
    const told = onDrawn;
    onDrawn = [];
    for (const tell of told) tell();
  }).observe({ type: "element" });
}

/** Resolves to true when this page should tell the server that its last change is painted. */
export async function painted(): Promise<boolean> {
  const asked = performance.now();
  await tick();
  if (!document.hidden) {
    await drawnOrHidden();
    if (!document.hidden && saysWhenDrawn && drawnAt < asked) await browsersWord();
    if (!document.hidden) return true;
  }
  return !(await isVisibleElsewhere());
}

function drawnOrHidden(): Promise<void> {
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true });
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
  });
}

function browsersWord(): Promise<void> {
  return new Promise((resolve) => {
    onDrawn.push(resolve);
    setTimeout(resolve, WORD_WITHIN_MS);
  });
}

/** Let other tabs know whether this one is visible, for as long as the page lives (needs a secure context). */
export function sayWhetherVisible(): void {
  if (navigator.locks === undefined) return;
  let letGo: (() => void) | null = null;
  const say = () => {
    letGo?.();
    letGo = null;
    if (document.hidden) return;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    void navigator.locks.request(VISIBLE_LOCK, { mode: "shared" }, () => held);
  };
  document.addEventListener("visibilitychange", say);
  say();
}

async function isVisibleElsewhere(): Promise<boolean> {
  if (navigator.locks === undefined) return false;
  const { held } = await navigator.locks.query();
  return (held ?? []).some((lock) => lock.name === VISIBLE_LOCK);
}
