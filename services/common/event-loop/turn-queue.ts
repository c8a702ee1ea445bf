import { setImmediate, setTimeout } from "node:timers/promises";
import { Fifo } from "./fifo.ts";
import { WorkTime } from "./work-time.ts";

/** For so long no long computation works after each turn, so that all of them together leave others half of the process. */
const REST_MS = 2;
/** Others are at work where a round of the event loop took more of the processor, and for a while after. */
const IDLE_ROUND_MS = 0.2;
const BUSY_FOR_MS = 100;

/** An owner that has used more than the others waits for at most so much of their work. */
const MAX_AHEAD_MS = 100;

/** One on whose behalf computations work: usually a project. */
type Owner = {
  readonly waiting: Fifo<() => void>;
  /** Processor time of its computations; time in which it wanted nothing counts as if it had used as much as the others. */
  usedMs: number;
};

/**
 * The computations of this process that wait for their turn. The next turn belongs to the owner whose turns took the least time: an owner
 * with many computations, or with texts that are made to take long, gets as much of the process as one with a single short one.
 */
class TurnQueue {
  readonly #owners = new Map<string, Owner>();
  /** What the owner of the last turn had used before it. */
  #usedMs = 0;
  #lastBusyMs = Number.NEGATIVE_INFINITY;
  #isHandingOut = false;

  /** A computation of `name` took so much of the processor. */
  charge(name: string, ms: number): void {
    const owner = this.#owner(name);
    owner.usedMs = Math.min(owner.usedMs + ms, this.#usedMs + MAX_AHEAD_MS);
  }

  /** Resolves when a computation of `name` may work. */
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
      // The turn before the next one is worked off in the same round of the event loop, before this resolves.
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

  /** The owner of the next turn; those that have nothing to wait for and used no more than others are forgotten. */
  #next(): Owner | undefined {
    let least: Owner | undefined;
    for (const [name, owner] of this.#owners) {
      if (owner.waiting.first) {
        if (!least || owner.usedMs < least.usedMs) least = owner;
      } else if (owner.usedMs <= this.#usedMs) this.#owners.delete(name);
    }
    return least;
  }

  /** Rests while others work in this process; alone, a computation goes on after a round of the event loop. */
  async #letOthersWork(): Promise<void> {
    const time = new WorkTime();
    await setImmediate();
    if (time.ms > IDLE_ROUND_MS) this.#lastBusyMs = performance.now();
    if (performance.now() - this.#lastBusyMs < BUSY_FOR_MS) await setTimeout(REST_MS);
  }
}

export const turnQueue = new TurnQueue();
