import type { Clock } from "#common/resilience/clock.ts";

/**
 * The pause before a pool's next attempt to start a worker: 500 ms, doubled with each failure, at most 30 s.
 */
export type BackOff = {
  /** Called after a failed attempt. Begins a pause, unless one is running. */
  failed(): void;
  /** Whether a pause is running. */
  isWaiting(): boolean;
  /** Ends the pause now. */
  end(): void;
  /** Ends the pause and forgets the failures, so that the next pause is short again. */
  reset(): void;
};

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** `onOver` is called when a pause has passed, and not when it is ended early. */
export function createBackOff(clock: Clock, onOver: () => void): BackOff {
  let failures = 0;
  let failedAtMs = Number.NEGATIVE_INFINITY;
  let cancel: (() => void) | undefined;
  const end = () => {
    cancel?.();
    cancel = undefined;
  };
  return {
    failed() {
      // Failures from more than a minute ago do not lengthen the pause.
      failures = clock.monotonicMs() - failedAtMs > LONGEST_MS * 2 ? 1 : failures + 1;
      failedAtMs = clock.monotonicMs();
      cancel ??= clock.after(Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_MS), () => {
        cancel = undefined;
        onOver();
      });
    },
    isWaiting: () => cancel !== undefined,
    end,
    reset() {
      end();
      failures = 0;
    },
  };
}
