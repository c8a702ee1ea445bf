import { NO_OWNER, Turn } from "./turn.ts";
import { WorkTime } from "./work-time.ts";

const SMALLEST_STEP_BYTES = 512;
const FIRST_STEP_BYTES = 4 * 1024;
const LARGEST_STEP_BYTES = 128 * 1024;

/** How many bytes of a text take about a millisecond, told by how long the bytes before took: some texts are made to take long. */
export class StepBytes {
  readonly #smallest: number;
  #bytes: number;

  /** Where a step costs something besides its bytes, it is to have so many at least. */
  constructor(smallest = SMALLEST_STEP_BYTES) {
    this.#smallest = smallest;
    this.#bytes = Math.max(smallest, FIRST_STEP_BYTES);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Learns from the time that the last `bytes` took. */
  took(ms: number): void {
    if (ms < 0.5) this.#bytes = Math.min(LARGEST_STEP_BYTES, this.#bytes * 2);
    else if (ms > 1) this.#bytes = Math.max(this.#smallest, this.#bytes / (ms > 4 ? 4 : 2));
  }

  /** Does `step` with so many bytes, and learns from the time that it takes. */
  measure(step: () => void): void {
    const time = new WorkTime();
    step();
    this.took(time.ms);
  }
}

/** A text's work in steps of at most about a millisecond. */
export class TextSteps {
  readonly #turn: Turn;
  readonly #size: StepBytes;

  constructor(owner = NO_OWNER, smallestStep?: number) {
    this.#turn = new Turn(owner);
    this.#size = new StepBytes(smallestStep);
  }

  /** Does `step` with all of `text`, one part after the other, in turns with other work. */
  async each(text: Uint8Array, step: (part: Uint8Array) => void, signal?: AbortSignal): Promise<void> {
    for await (const _ of this.turns(text, step, signal));
  }

  /** The same for callers that have something to do after each turn. */
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
