import { callCancelled } from "../errors.ts";
import { turnQueue } from "./turn-queue.ts";
import { WorkTime } from "./work-time.ts";

/** A long computation stops after this time: a call that needs many steps of the process must not be late at each. */
const TURN_MS = 2;

/** Computations that are done for no project take turns as one. */
export const NO_OWNER = "";

/** The owner of computations that are done for a project. */
export function ownerOf(project: string): string {
  return `project ${project}`;
}

/**
 * A long computation's share of the process: it works while its turn lasts, then lets other work go first. Of several that wait, the one
 * whose `owner` has used the least is next.
 * Usage: `if (turn.isOver) await turn.next(signal)`, at least once in a millisecond of work.
 */
export class Turn {
  readonly #owner: string;
  readonly #time = new WorkTime();
  #isCharged = false;
  /** How long the last step of `work` took. */
  lastStepMs = 0;

  constructor(owner = NO_OWNER) {
    this.#owner = owner;
  }

  get isOver(): boolean {
    return this.#time.ms >= TURN_MS;
  }

  /** Does `step`, whose time is its owner's. A turn without such steps counts as a whole one. */
  work<Result>(step: () => Result): Result {
    const time = new WorkTime();
    try {
      return step();
    } finally {
      this.lastStepMs = time.ms;
      this.#isCharged = true;
      turnQueue.charge(this.#owner, this.lastStepMs);
    }
  }

  /** Resolves when the computation may go on; rejects with `cancelled` when nobody waits for it any more. */
  async next(signal?: AbortSignal): Promise<void> {
    if (!this.#isCharged) turnQueue.charge(this.#owner, TURN_MS);
    await turnQueue.wait(this.#owner);
    if (signal?.aborted) throw callCancelled();
    this.#time.restart();
    this.#isCharged = false;
  }
}

/** Does all `steps`, each of which takes at most about a millisecond, in turns with other work; resolves to what they return. */
export async function takeTurns<Result>(
  steps: Iterator<void, Result>,
  signal?: AbortSignal,
  turn = new Turn(),
): Promise<Result> {
  const turns = turnsOf(steps, signal, turn);
  for (;;) {
    const { done, value } = await turns.next();
    if (done) return value as Result;
  }
}

/** The same for callers that have something to do after each turn. */
export async function* turnsOf<Result>(
  steps: Iterator<void, Result>,
  signal?: AbortSignal,
  turn = new Turn(),
): AsyncGenerator<void, Result> {
  for (;;) {
    const { done, value } = turn.work(() => steps.next());
    if (done) return value as Result;
    if (!turn.isOver) continue;
    await turn.next(signal);
    yield;
  }
}

/** Does all `steps` at once. */
export function atOnce<Result>(steps: Iterator<void, Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as Result;
  }
}
