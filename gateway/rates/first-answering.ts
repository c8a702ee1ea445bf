import { AirlockError, asAirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Count, CountAnswer } from "../backends/authority.ts";
import type { CountStore } from "./count-store.ts";

// Milliseconds that a request waits for a store.
const ANSWER_MS = 500;
// Milliseconds between two questions whether a store that did not answer does so again.
const ASK_AGAIN_MS = 1_000;

export type FirstAnswering = {
  /** Whether no store answers. */
  isAway(): boolean;
  /**
   * Adds the requests in the first store that answers. Undefined when none does; a store that did not answer may
   * or may not have counted them.
   */
  add(counts: readonly Count[]): Promise<CountAnswer | undefined>;
  close(): void;
};

/**
 * Uses the first of several stores that answers. A store that failed is asked in the background whether it
 * answers again, so that no request waits for it more than once.
 */
export function firstAnswering(stores: readonly CountStore[], clock: Clock, log: Log): FirstAnswering {
  const away = new Set<CountStore>();
  const stops = new Map<CountStore, () => void>();
  let isClosed = false;

  const giveUp = (store: CountStore, error: unknown) => {
    if (isClosed || away.has(store)) return;
    away.add(store);
    log.warn(
      { store: store.name, reason: asAirlockError(error).message },
      "the shared counters of requests do not answer",
    );
    askAgain(store);
  };
  const askAgain = (store: CountStore) => {
    const ask = async () => {
      try {
        await store.add([]);
        away.delete(store);
        log.info({ store: store.name }, "the shared counters of requests answer again");
      } catch {
        if (!isClosed) askAgain(store);
      }
    };
    stops.set(
      store,
      clock.after(ASK_AGAIN_MS, () => void ask()),
    );
  };

  return {
    isAway: () => away.size === stores.length,
    async add(counts) {
      for (const store of stores.filter((each) => !away.has(each))) {
        try {
          return await within(ANSWER_MS, store.add(counts), clock);
        } catch (error) {
          giveUp(store, error);
        }
      }
      return undefined;
    },
    close() {
      isClosed = true;
      for (const stop of stops.values()) stop();
      for (const store of stores) store.close();
    },
  };
}

/** Rejects when the work takes longer. The process may have been stopped meanwhile, which the clock allows for. */
function within<T>(ms: number, work: Promise<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new AirlockError("deadline_exceeded", `There was no answer within ${ms} ms.`));
    const stop = clock.after(ms, late);
    work.then(resolve, reject).finally(stop);
  });
}
