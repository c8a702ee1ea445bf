import { callCancelled } from "../errors.ts";
import { turnQueue } from "./turn-queue.ts";
import { WorkTime } from "./work-time.ts";

/**
 * Milliseconds that a long computation has the event loop before other work goes first. Short, because a
 * request that needs the event loop at many steps may wait that long at each step.
 */
const TURN_MS = 2;

/**
 * The owner to which computations without a project are charged; all of them together get the time of one
 * project.
 */
export const NO_OWNER = "";

/**
 * The owner to which the computations of this project are charged, so that projects share the event loop
 * fairly.
 */
export function ownerOf(project: string): string {
  return `project ${project}`;
}

/**
 * Lets a long computation share the event loop with other work. The computation works for one turn (2 ms),
 * then lets other work go first. Of several waiting computations, the one of the owner that has used the
 * least time goes on first. Usage: `if (turn.isOver) await turn.next(signal)`, at least once in a millisecond
 * of work.
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

  /** Whether the computation has had the event loop for its 2 ms. */
  get isOver(): boolean {
    return this.#time.ms >= TURN_MS;
  }

  /**
   * Performs `step` and charges its time to the owner. A turn in which `work` was not called is charged as a
   * whole turn.
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
 * Performs all `steps` of a generator, each of about a millisecond at most. After each turn (2 ms), other
 * work of the event loop goes first. Resolves to the generator's result.
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
 * Performs `steps` like `takeTurns`, but yields whenever other work has gone first, so that the caller can do
 * something in between.
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

/**
 * Performs all `steps` of a generator without letting other work go first, and returns their result. Only for
 * short computations, because the event loop is blocked meanwhile.
 */
export function atOnce<Result>(steps: Iterator<void, Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as Result;
  }
}
