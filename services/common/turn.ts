import { setImmediate, setTimeout } from "node:timers/promises";
import { AirlockError } from "./errors.ts";

/** A long computation stops after this time: a call that needs many steps of the process must not be late at each. */
const TURN_MS = 2;
/** For so long no long computation works then, so that all of them together leave others half of the process. */
const REST_MS = 2;

/** The computations of this process that wait for their turn, one after the other. */
let queue: Promise<void> = Promise.resolve();

/**
 * A long computation's share of the process: it works while its turn lasts, then lets other work go first.
 * Usage: `if (turn.isOver) await turn.next(signal)`, at least once in a millisecond of work.
 */
export class Turn {
  #startedMs = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#startedMs >= TURN_MS;
  }

  /** Resolves when the computation may go on; rejects with `cancelled` when nobody waits for it any more. */
  async next(signal?: AbortSignal): Promise<void> {
    const before = queue;
    const mine = Promise.withResolvers<void>();
    queue = mine.promise;
    await before;
    // The turn before this one is worked off in the same round of the event loop, before this resolves.
    await setImmediate();
    await setTimeout(REST_MS);
    mine.resolve();
    if (signal?.aborted) throw new AirlockError("cancelled", "The call was cancelled.");
    this.#startedMs = performance.now();
  }
}

/** Does all `steps`, each of which takes at most about a millisecond, in turns with other work. */
export async function takeTurns(
  steps: Iterator<void>,
  signal?: AbortSignal,
  turn = new Turn(),
): Promise<void> {
  while (!steps.next().done) {
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
