import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { ExecutionStore } from "./store.ts";

const SWEEP_EVERY_MS = 60_000;
// The most executions, or idempotency keys, that one statement deletes: few enough that a submission never
// waits long for it.
const BATCH = 200;

// An idempotency key outlives its execution by a week, because a caller that repeats a request after a
// weekend must learn that the script has run already.
const KEEP_KEYS_LONGER_MS = 7 * 24 * 3_600_000;

/**
 * Deletes executions `retentionMs` milliseconds after they ended. Deletes the idempotency keys of deleted
 * executions a week plus `retentionMs` after the first use of the key. The returned function stops the
 * deletions.
 */
export function startRetention(
  store: ExecutionStore,
  retentionMs: number,
  clock: Clock,
  log: Log,
): () => void {
  let stopTimer: () => void = () => undefined;
  let stopped = false;
  const keepKeysMs = retentionMs + KEEP_KEYS_LONGER_MS;
  const sweep = async () => {
    let waitMs = Math.min(SWEEP_EVERY_MS, Math.max(retentionMs, 1_000));
    try {
      const deleted = await store.deleteEndedBefore(clock.now() - retentionMs, BATCH);
      if (deleted > 0) log.debug({ deleted }, "finished executions forgotten");
      const keys = await store.deleteIdempotencyKeysBefore(clock.now() - keepKeysMs, BATCH);
      if (deleted > 0 || keys === BATCH) waitMs = 50;
    } catch (error) {
      log.error({ err: error }, "retention failed");
    }
    if (!stopped) stopTimer = clock.after(waitMs, run);
  };
  const run = () => {
    void sweep();
  };
  stopTimer = clock.after(Math.min(1_000, retentionMs), run);
  return () => {
    stopped = true;
    stopTimer();
  };
}
