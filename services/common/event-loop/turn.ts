import { callCancelled } from "../errors.ts";
import { turnQueue } from "./turn-queue.ts";
import { WorkTime } from "./work-time.ts";

/**
 * Milliseconds of a turn. Short, because a call that needs the process at many steps waits for a turn's end
 * at each.
 */
const TURN_MS = 2;

/** The owner of computations that serve no project; all of them share one owner's time. */
export const NO_OWNER = "";

/** The owner of computations that serve this project. */
export function ownerOf(project: string): string {
  return `project ${project}`;
}

/**
 * A long computation's share of the process. The computation works while its turn lasts, then lets other work
 * go first. Of several waiting computations, the next is that of the owner that has used the least time.
 * Usage: `if (turn.isOver) await turn.next(signal)`, at least once in a millisecond of work.
 */
export class Turn {
  readonly #owner: string;
  readonly #time = new WorkTime();
  #isCharged = false;
  /** Milliseconds that the last step of `work` took. */
  lastStepMs = 0;

  constructor(owner = NO_OWNER) {
    this.#owner = owner;
  }

  get isOver(): boolean {
    return this.#time.ms >= TURN_MS;
  }

  /**
   * Performs `step` and charges its time to the owner. A turn without any such step is charged as a whole
   * turn.
   */
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

  /**
   * Waits for the next turn. Rejects with `cancelled` when `signal` has aborted, because the caller no longer
   * waits for the result.
   */
  async next(signal?: AbortSignal): Promise<void> {
    if (!this.#isCharged) turnQueue.charge(this.#owner, TURN_MS);
    await turnQueue.wait(this.#owner);
    if (signal?.aborted) throw callCancelled();
    this.#time.restart();
    this.#isCharged = false;
  }
}

/**
 * Performs all `steps`, each of about a millisecond at most, in turns with other work; resolves to their
 * result.
 */
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

/**
 * Performs `steps` like `takeTurns`, but yields after each turn, so that the caller can do something in
 * between.
 */
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

/** Performs all `steps` without a pause and returns their result. */
export function atOnce<Result>(steps: Iterator<void, Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as Result;
  }
}
