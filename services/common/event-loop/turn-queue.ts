import { setImmediate, setTimeout } from "node:timers/promises";
import { Fifo } from "./fifo.ts";
import { WorkTime } from "./work-time.ts";

/**
 * Milliseconds without any long computation after each turn, so that all of them together leave half of the
 * process to other work.
 */
const REST_MS = 2;
/**
 * Other work is assumed when a round of the event loop took more than IDLE_ROUND_MS of processor time, and
 * for BUSY_FOR_MS after.
 */
const IDLE_ROUND_MS = 0.2;
const BUSY_FOR_MS = 100;

/** An owner that has used more than the others waits for at most so many milliseconds of their work. */
const MAX_AHEAD_MS = 100;

/** The project, or other party, for which computations work. */
type Owner = {
  readonly waiting: Fifo<() => void>;
  /**
   * Processor time of the owner's computations, in milliseconds. While an owner had no computations, it is
   * charged as much as the others used.
   */
  usedMs: number;
};

/**
 * The computations of this process that wait for their turn. The next turn goes to the owner that has used
 * the least time. An owner with many computations, or with texts made to take long, therefore gets no more of
 * the process than an owner with one short computation.
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

  /** Resolves when a computation of the owner `name` may work. */
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
      // The computation that got the last turn works in the same round of the event loop, before this await
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
   * The owner of the next turn; undefined when none waits. Owners that wait for nothing and used no more than
   * the others are forgotten.
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
   * Pauses while other work uses the process. Without other work, a computation continues after one round of
   * the event loop.
   */
  async #letOthersWork(): Promise<void> {
    const time = new WorkTime();
    await setImmediate();
    if (time.ms > IDLE_ROUND_MS) this.#lastBusyMs = performance.now();
    if (performance.now() - this.#lastBusyMs < BUSY_FOR_MS) await setTimeout(REST_MS);
  }
}

export const turnQueue = new TurnQueue();
