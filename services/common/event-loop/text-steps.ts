import { NO_OWNER, Turn } from "./turn.ts";
import { WorkTime } from "./work-time.ts";

const SMALLEST_STEP_BYTES = 512;
const FIRST_STEP_BYTES = 4 * 1024;
const LARGEST_STEP_BYTES = 128 * 1024;

/**
 * Estimates how many bytes of a text are processed in about a millisecond, from the time that the steps
 * before took. With a fixed number, an attacker's text that takes long for each byte would block the event
 * loop.
 */
export class StepBytes {
  readonly #smallest: number;
  #bytes: number;

  /** `smallest`: the least bytes of a step; larger where each step costs time besides its bytes. */
  constructor(smallest = SMALLEST_STEP_BYTES) {
    this.#smallest = smallest;
    this.#bytes = Math.max(smallest, FIRST_STEP_BYTES);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adapts the estimate to the milliseconds that the last `bytes` took. */
  took(ms: number): void {
    if (ms < 0.5) this.#bytes = Math.min(LARGEST_STEP_BYTES, this.#bytes * 2);
    else if (ms > 1) this.#bytes = Math.max(this.#smallest, this.#bytes / (ms > 4 ? 4 : 2));
  }

  /** Performs `step` with `bytes` bytes and adapts the estimate to the time it takes. */
  measure(step: () => void): void {
    const time = new WorkTime();
    step();
    this.took(time.ms);
  }
}

/**
 * Processes a text in steps of at most about a millisecond. After about 2 ms of steps, other work of the
 * event loop goes first.
 */
export class TextSteps {
  readonly #turn: Turn;
  readonly #size: StepBytes;

  constructor(owner = NO_OWNER, smallestStep?: number) {
    this.#turn = new Turn(owner);
    this.#size = new StepBytes(smallestStep);
  }

  /**
   * Calls `step` with one part of `text` after the other, and resolves after the last. Rejects with
   * `cancelled` when `signal` aborts.
   */
  async each(text: Uint8Array, step: (part: Uint8Array) => void, signal?: AbortSignal): Promise<void> {
    for await (const _ of this.turns(text, step, signal));
  }

  /**
   * Processes a text like `each`, but yields whenever other work of the event loop has gone first (after
   * about 2 ms of steps), so that the caller can do something in between.
   */
  async *turns(
    text: Uint8Array,
    step: (part: Uint8Array) => void,
    signal?: AbortSignal,
  ): AsyncGenerator<void> {
    for (let from = 0; from < text.length; ) {
      if (this.#turn.isOver) {
        await this.#turn.next(signal);
        yield;
      }
      const part = text.subarray(from, from + this.#size.bytes);
      this.#turn.work(() => step(part));
      this.#size.took(this.#turn.lastStepMs);
      from += part.length;
    }
  }
}
