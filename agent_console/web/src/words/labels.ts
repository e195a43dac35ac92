// The house's codes as people read them.

import type { AgentLine, MatchKind } from "../api/words";

const REASONS: Readonly<Record<string, string>> = {
  sign_in: "just signed in",
  rona: "did not answer",
  declined: "declined a contact",
  phone: "phone not reachable",
  connection: "browser was away",
  supervisor: "set by supervisor",
};

const LANGUAGES = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

/** `lunch_break` as `Lunch break`. */
export function words(code: string): string {
  const text = code.replaceAll(/[_-]+/g, " ").trim();
  return text === "" ? "" : text[0]!.toUpperCase() + text.slice(1);
}

/** A not-ready reason. */
export function reasonLabel(reason: string): string {
  return REASONS[reason] ?? words(reason);
}

/** `es` as `Spanish`; the code itself when it is no language. */
export function languageName(code: string): string {
  try {
    return LANGUAGES.of(code) ?? code;
  } catch {
    return code;
  }
}

export const MATCHES: Readonly<Record<MatchKind, string>> = {
  known: "Known caller",
  likely: "Likely",
  shared: "Shared number",
  unknown: "Unknown caller",
  withheld: "Number withheld",
};

/** One of the shapes in `parts/Mark.svelte`, and the word beside it. */
export interface AgentState {
  mark: "ready" | "pause" | "bell" | "phone" | "pen" | "off";
  word: string;
  tone: "good" | "calm" | "busy" | "due";
}

/** What an agent is doing, in one word and one shape. */
export function agentState(line: AgentLine): AgentState {
  if (line.activity === "offered") return { mark: "bell", word: "Offered", tone: "due" };
  if (line.activity === "talking") return { mark: "phone", word: "Talking", tone: "busy" };
  if (line.activity === "wrap_up") return { mark: "pen", word: "Wrap-up", tone: "busy" };
  if (line.availability === "ready") return { mark: "ready", word: "Ready", tone: "good" };
  if (line.availability === "not_ready") return { mark: "pause", word: "Not ready", tone: "calm" };
  return { mark: "off", word: "Signed out", tone: "calm" };
}

// Control characters and those that turn the direction of text: harmless in the page, where <bdi> isolates them, but not
// in a window title or a desktop notice.
const UNSEEN = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** Text from outside for places where no markup can isolate it: no controls, at most `longest` characters. */
export function plain(text: string, longest = 80): string {
  const clean = text.replaceAll(UNSEEN, "");
  return clean.length > longest ? `${clean.slice(0, longest - 1)}…` : clean;
}
