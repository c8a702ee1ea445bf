import { Fifo } from "../../event-loop/fifo.ts";

/** The position of a trigger in a stream; `trigger` is its index. */
export type Hit = { readonly start: number; readonly end: number; readonly trigger: number };

/** More than the number of triggers, so that a position and a trigger fit into one number. */
const TRIGGERS = 1_024;

/**
 * The triggers that were found and not yet removed, in the order of their ends. Each takes eight bytes,
 * because a hostile text is full of them.
 */
export class Hits {
  readonly #packed = new Fifo<number>();
  readonly #lengths: Int32Array;

  constructor(triggerLengths: Int32Array) {
    this.#lengths = triggerLengths;
  }

  push(end: number, trigger: number): void {
    this.#packed.push(end * TRIGGERS + trigger);
  }

  clear(): void {
    this.#packed.clear();
  }

  /** Whether the first trigger begins before `position`. */
  beginBefore(position: number): boolean {
    return this.#startOf(this.#packed.first ?? Number.POSITIVE_INFINITY) < position;
  }

  /** Removes and returns the first trigger if it begins before `position`; undefined otherwise. */
  takeBefore(position: number): Hit | undefined {
    const packed = this.#packed.first;
    if (packed === undefined || this.#startOf(packed) >= position) return undefined;
    this.#packed.shift();
    return { start: this.#startOf(packed), end: Math.floor(packed / TRIGGERS), trigger: packed % TRIGGERS };
  }

  #startOf(packed: number): number {
    return Math.floor(packed / TRIGGERS) - (this.#lengths[packed % TRIGGERS] ?? 0);
  }
}
