// Seconds and instants as people read them.

/** `0:07`, `12:03`, `1:02:09`; never negative. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** For a screen reader: `2 minutes 5 seconds`. */
export function spoken(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  const parts: string[] = [];
  if (minutes > 0) parts.push(`${minutes} ${minutes === 1 ? "minute" : "minutes"}`);
  if (whole % 60 > 0 || minutes === 0) parts.push(`${whole % 60} ${whole % 60 === 1 ? "second" : "seconds"}`);
  return parts.join(" ");
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** `14:03:09` of Unix seconds or a Date, in the browser's zone. */
export function clockTime(at: number | Date): string {
  return clockFormat.format(typeof at === "number" ? at * 1000 : at);
}

/** `3 Nov` this year, `3 Nov 2024` before. */
export function day(at: number): string {
  const date = new Date(at * 1000);
  return date.getFullYear() === new Date().getFullYear() ? dayFormat.format(date) : dateFormat.format(date);
}

/** An ISO date or instant as `3 Nov 2025`; the text itself when it is neither. */
export function isoDay(text: string): string {
  const date = new Date(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T12:00:00` : text);
  return Number.isNaN(date.getTime()) ? text : dateFormat.format(date);
}
