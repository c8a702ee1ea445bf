import { setImmediate, setTimeout } from "node:timers/promises";
import { AirlockError } from "../errors.ts";

/** A long computation stops after this time: a call that needs many steps of the process must not be late at each. */
const TURN_MS = 2;
/** For so long no long computation works then, so that all of them together leave others half of the process. */
const REST_MS = 2;
/** Others are at work where a round of the event loop took more of the processor, and for a while after. */
const IDLE_ROUND_MS = 0.2;
const BUSY_FOR_MS = 100;

let lastBusyMs = Number.NEGATIVE_INFINITY;

/** The computations of this process that wait for their turn, one after the other. */
let queue: Promise<void> = Promise.resolve();

/**
 * A long computation's share of the process: it works while its turn lasts, then lets other work go first.
 * Usage: `if (turn.isOver) await turn.next(signal)`, at least once in a millisecond of work.
 */
export class Turn {
  #startedMs = threadMs();

  get isOver(): boolean {
    return threadMs() - this.#startedMs >= TURN_MS;
  }

  /** Resolves when the computation may go on; rejects with `cancelled` when nobody waits for it any more. */
  async next(signal?: AbortSignal): Promise<void> {
    const before = queue;
    const mine = Promise.withResolvers<void>();
    queue = mine.promise;
    await before;
    // The turn before this one is worked off in the same round of the event loop, before this resolves.
    await setImmediate();
    await letOthersWork();
    mine.resolve();
    if (signal?.aborted) throw new AirlockError("cancelled", "The call was cancelled.");
    this.#startedMs = threadMs();
  }
}

/** Rests while others work in this process; alone, a computation goes on after a round of the event loop. */
async function letOthersWork(): Promise<void> {
  const usedMs = threadMs();
  await setImmediate();
  if (threadMs() - usedMs > IDLE_ROUND_MS) lastBusyMs = performance.now();
  if (performance.now() - lastBusyMs < BUSY_FOR_MS) await setTimeout(REST_MS);
}

/** The processor time of this thread: on a busy machine time passes in which it does not work. */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

const SMALLEST_STEP_BYTES = 4 * 1024;
const LARGEST_STEP_BYTES = 128 * 1024;

/** How many bytes of a text take about a millisecond, told by how long the bytes before took: some texts are made to take long. */
export class StepBytes {
  #bytes = 2 * SMALLEST_STEP_BYTES;

  get bytes(): number {
    return this.#bytes;
  }

  /** Does `step` with so many bytes, and learns from the time that it takes. */
  measure(step: () => void): void {
    const startedMs = threadMs();
    step();
    const usedMs = threadMs() - startedMs;
    if (usedMs < 0.5) this.#bytes = Math.min(LARGEST_STEP_BYTES, this.#bytes * 2);
    else if (usedMs > 1) this.#bytes = Math.max(SMALLEST_STEP_BYTES, this.#bytes / 2);
  }
}

/** A text's work in steps of at most about a millisecond. */
export class TextSteps {
  readonly #turn = new Turn();
  readonly #size = new StepBytes();

  /** Does `step` with all of `text`, one part after the other, in turns with other work. */
  async each(text: Uint8Array, step: (part: Uint8Array) => void, signal?: AbortSignal): Promise<void> {
    for (let from = 0; from < text.length; ) {
      if (this.#turn.isOver) await this.#turn.next(signal);
      const part = text.subarray(from, from + this.#size.bytes);
      this.#size.measure(() => step(part));
      from += part.length;
    }
  }
}

/** Does all `steps`, each of which takes at most about a millisecond, in turns with other work; resolves to what they return. */
export async function takeTurns<Result>(
  steps: Iterator<void, Result>,
  signal?: AbortSignal,
  turn = new Turn(),
): Promise<Result> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as Result;
    if (turn.isOver) await turn.next(signal);
  }
}

/** Does all `steps` at once. */
export function atOnce<Result>(steps: Iterator<void, Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as Result;
  }
}
