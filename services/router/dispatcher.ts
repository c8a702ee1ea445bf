import type { RunParts } from "./run.ts";
import { runExecution } from "./run.ts";

/** Owns the runs of this router: every unfinished execution that it has, has one. */
export type Dispatcher = {
  /** Starts the run of an execution that this router has claimed, unless it is on its way already. */
  dispatch(executionId: string, project: string): void;
  /** Starts nothing more, lets what runs end for `graceMs`, then ends it; resolves when all is recorded. */
  drain(graceMs: number): Promise<void>;
};

export function createDispatcher(parts: RunParts): Dispatcher {
  const { store, clock, log } = parts;
  const runs = new Map<string, Promise<void>>();
  const draining = new AbortController();
  const over = new AbortController();
  const shutdown = { draining: draining.signal, over: over.signal };

  return {
    dispatch(executionId, project) {
      if (runs.has(executionId)) return;
      const work = draining.signal.aborted
        ? store.release(executionId)
        : runExecution(executionId, project, parts, shutdown);
      const done = work
        .catch((error: unknown) => log.error({ err: error, executionId }, "execution could not be recorded"))
        .finally(() => runs.delete(executionId));
      runs.set(executionId, done);
    },
    async drain(graceMs) {
      draining.abort();
      const stopTimer = clock.after(graceMs, () => over.abort());
      await Promise.all(runs.values());
      stopTimer();
    },
  };
}
