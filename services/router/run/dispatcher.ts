import type { OrphanedExecution } from "../store/store.ts";
import type { RunParts } from "./open-run.ts";
import { runExecution, takeOverExecution } from "./run-execution.ts";

/** Owns the runs of this router: one for each unfinished execution that the router owns. */
export type Dispatcher = {
  /** Starts the run of an execution that this router owns, unless it has one already. */
  dispatch(executionId: string, project: string): void;
  /** Takes over the run of an execution whose router is gone. */
  takeOver(orphaned: OrphanedExecution): void;
  has(executionId: string): boolean;
  /**
   * Starts no more runs, gives those under way `graceMs` to end, then ends them. Resolves when every ending is
   * recorded.
   */
  drain(graceMs: number): Promise<void>;
};

export function createDispatcher(parts: RunParts): Dispatcher {
  const { store, clock, log } = parts;
  const runs = new Map<string, Promise<void>>();
  const draining = new AbortController();
  const over = new AbortController();
  const shutdown = { draining: draining.signal, over: over.signal };

  const own = (executionId: string, run: () => Promise<void>) => {
    if (runs.has(executionId)) return;
    const work = draining.signal.aborted ? store.release(executionId) : run();
    const done = work
      .catch(async (error: unknown) => {
        log.error({ err: error, executionId }, "execution could not be recorded");
        // The router that claims the execution next attaches to the run that the worker still has.
        await store.release(executionId);
      })
      .catch((error: unknown) => log.error({ err: error, executionId }, "execution could not be given back"))
      .finally(() => runs.delete(executionId));
    runs.set(executionId, done);
  };

  return {
    dispatch: (executionId, project) =>
      own(executionId, () => runExecution(executionId, project, parts, shutdown)),
    takeOver: (orphaned) => own(orphaned.executionId, () => takeOverExecution(orphaned, parts, shutdown)),
    has: (executionId) => runs.has(executionId),
    async drain(graceMs) {
      draining.abort();
      const stopTimer = clock.after(graceMs, () => over.abort());
      await Promise.all(runs.values());
      stopTimer();
    },
  };
}
