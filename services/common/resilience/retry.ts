import type { Clock } from "./clock.ts";

/** A policy that says when a failed attempt is repeated; `retry` follows it. */
export type RetryPolicy = {
  /**
   * Whether to try again after `error`. `attempt` counts from 1. A limit on the total time must be part of
   * this function.
   */
  readonly mayRetry: (error: unknown, attempt: number) => boolean | Promise<boolean>;
  /** Milliseconds to wait after the failed attempt number `attempt`. */
  readonly delayMs: (attempt: number) => number;
  readonly clock: Clock;
  /**
   * A signal that ends the wait between two attempts when it aborts. An attempt that is under way must watch
   * a signal itself. Undefined: nothing ends the wait early.
   */
  readonly signal?: AbortSignal | undefined;
};

/**
 * Calls `work` until an attempt succeeds, and resolves to its result. Rejects with the last error when the
 * policy gives up, and with the signal's reason when the signal aborts. Only for work that is safe to repeat.
 */
export async function retry<T>(
  work: (attempt: number) => Promise<T>,
  { mayRetry, delayMs, clock, signal }: RetryPolicy,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(await mayRetry(error, attempt))) throw error;
    }
    await wait(delayMs(attempt), clock, signal);
  }
}

/** Waits for `delayMs` milliseconds. Rejects with the signal's reason when the signal aborts before. */
export async function wait(delayMs: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      stopTimer();
      reject(signal?.reason);
    };
    const stopTimer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Makes the delays of a retry policy: always `delayMs` milliseconds. */
export function every(delayMs: number): RetryPolicy["delayMs"] {
  return () => delayMs;
}

/**
 * Makes the delays of a retry policy: `firstMs` milliseconds after the first attempt, then twice the delay
 * before, up to `longestMs`.
 */
export function doubling(firstMs: number, longestMs: number): RetryPolicy["delayMs"] {
  return (attempt) => Math.min(firstMs * 2 ** (attempt - 1), longestMs);
}
