import type { Clock } from "#common/resilience/clock.ts";
import type { Drain } from "#common/service/drain.ts";
import type { AuthorityStore } from "./store/store.ts";

// Milliseconds between two looks at the database while gateways watch, so that a change that another authority
// made reaches them within half a second.
const LOOK_EVERY_MS = 250;
// Milliseconds after which the version is sent again although nothing has changed, so that a watcher knows that
// this authority still answers.
const BEAT_EVERY_MS = 500;

export type Changes = {
  /**
   * Yields the version at once, at each change, and every half second, until the signal aborts or the authority
   * begins to stop.
   */
  watch(signal: AbortSignal): AsyncGenerator<number>;
};

/** Follows the number that grows with each change that takes something from a principal. */
export function createChanges(store: Pick<AuthorityStore, "version">, clock: Clock, drain: Drain): Changes {
  return {
    async *watch(signal) {
      let sent: number | undefined;
      let sentAt = 0;
      while (!signal.aborted && !drain.begun) {
        const version = await store.version();
        if (version !== sent || clock.monotonicMs() - sentAt >= BEAT_EVERY_MS) {
          [sent, sentAt] = [version, clock.monotonicMs()];
          yield version;
        }
        await pause(clock, signal, drain);
      }
    },
  };
}

/** Resolves after LOOK_EVERY_MS, or when the signal aborts or the drain begins. */
function pause(clock: Clock, signal: AbortSignal, drain: Drain): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      stop();
      stayOn();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const stop = clock.after(LOOK_EVERY_MS, end);
    const stayOn = drain.onBegin(end);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted || drain.begun) end();
  });
}
