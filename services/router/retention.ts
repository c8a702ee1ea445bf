import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import type { ExecutionStore } from "./store/store.ts";

const SWEEP_EVERY_MS = 60_000;
// Small enough that a sweep never holds up a submission.
const BATCH = 200;

/** Forgets executions `retentionMs` after they ended; the returned function stops it. */
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
      if (deleted === BATCH) waitMs = 50;
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
