import { setImmediate } from "node:timers/promises";
import { AirlockError } from "./errors.ts";

/** A long computation stops after this time, so that a call that needs many steps of the process is not late at each. */
const TURN_MS = 2;
/** Others have worked in a round of the event loop that took more of the processor. */
const IDLE_ROUND_MS = 0.3;
/** A computation waits no longer for a quiet round than this. */
const LONGEST_WAIT_MS = 10;

/** The computations of this process that wait for their turn: one goes on in each round of the event loop. */
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
    await letOthersWork();
    // The next in the queue needs a round of its own, so that it begins when this turn has ended.
    mine.resolve();
    if (signal?.aborted) throw new AirlockError("cancelled", "The call was cancelled.");
    this.#startedMs = performance.now();
  }
}

async function letOthersWork(): Promise<void> {
  const beganMs = performance.now();
  for (let usedMs = threadMs(); ; ) {
    await setImmediate();
    const nowMs = threadMs();
    if (nowMs - usedMs < IDLE_ROUND_MS || performance.now() - beganMs > LONGEST_WAIT_MS) return;
    usedMs = nowMs;
  }
}

/** The processor time of this thread: on a busy machine a round takes long in which nobody has worked. */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
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
