// What this browser may see, as one flat map the server keeps true: `me`, `pop`, `draft`, `choices`, `pbx`, `agents/<id>`,
// `queues/<id>`, `waiting/<call>`. `movedAt` is when (server's time) each key last changed.

import { SvelteMap } from "svelte/reactivity";
import type { AgentLine, Choices, DispositionChoice, DraftKept, Me, PbxLink, Pop, QueueLine, WaitingLine } from "../api/words";

export class View {
  readonly keys = new SvelteMap<string, unknown>();
  readonly movedAt = new SvelteMap<string, number>();

  /** Replace everything, keeping when each unchanged key last moved. */
  snapshot(view: Readonly<Record<string, unknown>>, at: number): void {
    for (const key of [...this.keys.keys()]) if (!(key in view)) this.drop(key);
    for (const [key, value] of Object.entries(view)) {
      if (!this.keys.has(key) || JSON.stringify(this.keys.get(key)) !== JSON.stringify(value)) this.put(key, value, at);
    }
  }

  put(key: string, value: unknown, at: number): void {
    this.keys.set(key, value);
    this.movedAt.set(key, at);
  }

  drop(key: string): void {
    this.keys.delete(key);
    this.movedAt.delete(key);
  }

  get me(): Me | null {
    return (this.keys.get("me") as Me | undefined) ?? null;
  }

  get pop(): Pop | null {
    return (this.keys.get("pop") as Pop | undefined) ?? null;
  }

  get draft(): DraftKept | null {
    return (this.keys.get("draft") as DraftKept | undefined) ?? null;
  }

  get choices(): Choices | null {
    return (this.keys.get("choices") as Choices | undefined) ?? null;
  }

  get pbx(): PbxLink | null {
    return (this.keys.get("pbx") as PbxLink | undefined) ?? null;
  }

  get agents(): AgentLine[] {
    return this.#under("agents/");
  }

  get queues(): QueueLine[] {
    return this.#under("queues/");
  }

  get waiting(): WaitingLine[] {
    return this.#under("waiting/");
  }

  /** What people call this queue. */
  queueName(queue: string | null): string {
    if (queue === null) return "";
    const line = this.keys.get(`queues/${queue}`) as QueueLine | undefined;
    return line?.name ?? this.choices?.queues.find((choice) => choice.queue === queue)?.name ?? queue;
  }

  /** What a contact of this queue may have come to. */
  dispositions(queue: string): readonly DispositionChoice[] {
    return this.choices?.queues.find((choice) => choice.queue === queue)?.dispositions ?? [];
  }

  /** A disposition as people read it. */
  dispositionLabel(queue: string, code: string): string {
    return this.dispositions(queue).find((choice) => choice.code === code)?.label ?? code;
  }

  /** What people call this agent. */
  agentName(agent: string | null): string {
    if (agent === null) return "";
    return (this.keys.get(`agents/${agent}`) as AgentLine | undefined)?.name ?? agent;
  }

  #under<Line>(prefix: string): Line[] {
    const lines: Line[] = [];
    for (const [key, value] of this.keys) if (key.startsWith(prefix)) lines.push(value as Line);
    return lines;
  }
}
