import { setImmediate, setTimeout } from "node:timers/promises";
import { Fifo } from "./fifo.ts";
import { WorkTime } from "./work-time.ts";

/**
 * Milliseconds of rest after each turn of a long computation, while the process has other work. A turn takes
 * 2 ms too, so half of the process is left to other work, such as requests.
 */
const REST_MS = 2;
/**
 * The process has other work than long computations when a round of the event loop took more milliseconds of
 * work than this.
 */
const IDLE_ROUND_MS = 0.2;
/** Milliseconds after such a round for which the process still counts as having other work. */
const BUSY_FOR_MS = 100;

/** An owner that has used more than the others waits while they use this many milliseconds, and no longer. */
const MAX_AHEAD_MS = 100;

/**
 * A project, or another party, whose long computations share the event loop fairly with those of other
 * owners.
 */
type Owner = {
  /** Functions that each start the next turn of one waiting computation. */
  readonly waiting: Fifo<() => void>;
  /**
   * Milliseconds of processor time that the owner's computations used. An owner that had none for a while is
   * set to the time of the others, so that it gets no credit for that while.
   */
  usedMs: number;
};

/**
 * The queue of this process's long computations that wait for a turn, which is about 2 ms of the event loop.
 * The next turn goes to the owner that has used the least time. An owner with many computations, or with
 * texts made to take long, therefore gets no more of the process than an owner with one short computation.
 */
class TurnQueue {
  readonly #owners = new Map<string, Owner>();
  /**
   * Milliseconds of processor time that the owner of the last turn had used before it. An owner that returns
   * after a pause continues from this value.
   */
  #usedMs = 0;
  #lastBusyMs = Number.NEGATIVE_INFINITY;
  #isHandingOut = false;

  /** Charges the owner `name` with processor time of one of its computations. */
  charge(name: string, ms: number): void {
    const owner = this.#owner(name);
    owner.usedMs = Math.min(owner.usedMs + ms, this.#usedMs + MAX_AHEAD_MS);
  }

  /** Resolves when a computation of the owner `name` may work for one turn. */
  wait(name: string): Promise<void> {
    const turn = Promise.withResolvers<void>();
    this.#owner(name).waiting.push(turn.resolve);
    if (!this.#isHandingOut) void this.#handOut();
    return turn.promise;
  }

  #owner(name: string): Owner {
    const owner = this.#owners.get(name) ?? { waiting: new Fifo<() => void>(), usedMs: 0 };
    this.#owners.set(name, owner);
    owner.usedMs = Math.max(owner.usedMs, this.#usedMs);
    return owner;
  }

  async #handOut(): Promise<void> {
    this.#isHandingOut = true;
    for (;;) {
      // The computation that got the last turn works in this round of the event loop, before this await
      // resolves.
      await setImmediate();
      await this.#letOthersWork();
      const next = this.#next();
      if (!next) break;
      this.#usedMs = next.usedMs;
      next.waiting.first?.();
      next.waiting.shift();
    }
    this.#isHandingOut = false;
  }

  /**
   * The owner of the next turn; undefined when no computation waits. Owners without a waiting computation
   * that used no more than the others are forgotten.
   */
  #next(): Owner | undefined {
    let least: Owner | undefined;
    for (const [name, owner] of this.#owners) {
      if (owner.waiting.first) {
        if (!least || owner.usedMs < least.usedMs) least = owner;
      } else if (owner.usedMs <= this.#usedMs) this.#owners.delete(name);
    }
    return least;
  }

  /**
   * Waits while other work uses the process: one round of the event loop, and REST_MS more when the process
   * had other work during the last BUSY_FOR_MS.
   */
  async #letOthersWork(): Promise<void> {
    const time = new WorkTime();
    await setImmediate();
    if (time.ms > IDLE_ROUND_MS) this.#lastBusyMs = performance.now();
    if (performance.now() - this.#lastBusyMs < BUSY_FOR_MS) await setTimeout(REST_MS);
  }
}

export const turnQueue = new TurnQueue();
