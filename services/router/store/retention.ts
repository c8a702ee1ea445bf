import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { ExecutionStore } from "./store.ts";

const SWEEP_EVERY_MS = 60_000;
// The number of executions, or keys, that one statement deletes. It is so small that a submission does not
// wait for it.
const BATCH = 200;

// A caller that repeats a request does so within a day. An older idempotency key is deleted once its
// execution is.
const KEEP_KEYS_MS = 24 * 3_600_000;

/**
 * Deletes executions `retentionMs` after they ended, and idempotency keys after a day at the earliest. The
 * returned function stops the deletions.
 */
export function startRetention(
  store: ExecutionStore,
  retentionMs: number,
  clock: Clock,
  log: Log,
): () => void {
  let stopTimer: () => void = () => undefined;
  let stopped = false;
  const sweep = async () => {
    let waitMs = Math.min(SWEEP_EVERY_MS, Math.max(retentionMs, 1_000));
    try {
      const deleted = await store.deleteEndedBefore(clock.now() - retentionMs, BATCH);
      if (deleted > 0) log.debug({ deleted }, "finished executions forgotten");
      const keys = await store.deleteIdempotencyKeysBefore(clock.now() - KEEP_KEYS_MS, BATCH);
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
