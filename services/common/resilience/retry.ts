import type { Clock } from "./clock.ts";

/** When a failed attempt is repeated; the mechanism is `retry`. */
export type RetryPolicy = {
  /** Whether the error may pass by itself. `attempt` counts from 1; the time that is over is the caller's to judge. */
  readonly mayRetry: (error: unknown, attempt: number) => boolean | Promise<boolean>;
  /** Milliseconds until the next attempt, after so many. */
  readonly delayMs: (attempt: number) => number;
  readonly clock: Clock;
  /** Ends the wait between two attempts; an attempt that is under way has to heed its own signal. Never, unless given. */
  readonly signal?: AbortSignal | undefined;
};

/**
 * Resolves as the first attempt does that succeeds. Rejects as the last one did when the policy gives up, and with the signal's reason when it is
 * aborted between two attempts. Only for work that is safe to repeat.
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

/** Resolves after `delayMs` of the clock; rejects with the signal's reason when it is aborted before. */
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

/** The same delay after each attempt. */
export function every(delayMs: number): RetryPolicy["delayMs"] {
  return () => delayMs;
}

/** Twice the delay after each attempt, up to the longest. */
export function doubling(firstMs: number, longestMs: number): RetryPolicy["delayMs"] {
  return (attempt) => Math.min(firstMs * 2 ** (attempt - 1), longestMs);
}
