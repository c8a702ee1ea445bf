import type { Clock } from "#common/resilience/clock.ts";

/** A clock that moves only by `advance`, which fires the due timers in order. */
export type FakeClock = Clock & {
  advance(ms: number): Promise<void>;
  /** The number of timers that are set. */
  waiting(): number;
};

export function createFakeClock(startMs = 1_000_000): FakeClock {
  let nowMs = startMs;
  let timers: { atMs: number; run: () => void }[] = [];
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    waiting: () => timers.length,
    async advance(ms) {
      await settle();
      const endMs = nowMs + ms;
      for (;;) {
        const [next] = timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
        if (!next) break;
        nowMs = next.atMs;
        timers = timers.filter((other) => other !== next);
        next.run();
        await settle();
      }
      nowMs = endMs;
    },
  };
}

/** Waits a few rounds of the event loop, so that resolved promises settle. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
