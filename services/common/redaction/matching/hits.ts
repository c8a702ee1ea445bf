import { Fifo } from "../../event-loop/fifo.ts";

/**
 * The position of a trigger (a credential's prefix such as `ghp_`) in a stream; `trigger` is its index in the
 * list of triggers.
 */
export type Hit = { readonly start: number; readonly end: number; readonly trigger: number };

/**
 * A number above every index of a trigger. A position times this number, plus the index, is one number that
 * holds both.
 */
const TRIGGERS = 1_024;

/**
 * The triggers (prefixes of credentials) that were found and not yet removed, in the order of their ends.
 * Each takes only eight bytes, because a hostile text is full of triggers.
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

  /** Whether the first trigger in the list begins before `position`; false when the list is empty. */
  beginBefore(position: number): boolean {
    return this.#startOf(this.#packed.first ?? Number.POSITIVE_INFINITY) < position;
  }

  /**
   * Removes and returns the first trigger in the list if it begins before `position`; undefined otherwise.
   */
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
