import type { Submitter } from "#common/identity/ownership.ts";
import type { OrphanedExecution } from "../store/store.ts";
import type { RunParts } from "./open-run.ts";
import { runExecution, takeOverExecution } from "./run-execution.ts";

/** Owns the runs of this router: one for each unfinished execution that the router owns. */
export type Dispatcher = {
  /**
   * Starts the run of a pending execution that this router owns. Does nothing when the execution has a run
   * already. `submitter`: given when this router accepted the execution just now.
   */
  dispatch(executionId: string, project: string, submitter?: Submitter): void;
  /** Takes over the run of an execution whose earlier router died or released it. */
  takeOver(orphaned: OrphanedExecution): void;
  /** Whether this router has a run for the execution. */
  has(executionId: string): boolean;
  /**
   * Shuts the runs down: starts no more, and gives running scripts `graceMs` milliseconds to end. Scripts
   * that still run after that are ended or left to another router. Resolves when the ending of every run is
   * recorded or its execution is released.
   */
  drain(graceMs: number): Promise<void>;
};

export function createDispatcher(parts: RunParts): Dispatcher {
  const { store, underWay, clock, log } = parts;
  const runs = new Map<string, Promise<void>>();
  const draining = new AbortController();
  const over = new AbortController();
  const shutdown = { draining: draining.signal, over: over.signal };

  const own = (executionId: string, run: () => Promise<void>) => {
    if (runs.has(executionId)) return;
    // A change by another router may have been of any kind, so that the execution must be read.
    const stopListening = store.onChange(executionId, (change) => {
      if (!change || change.kind === "paused" || change.kind === "ended") underWay.delete(executionId);
    });
    const work = draining.signal.aborted ? store.release(executionId) : run();
    const done = work
      .catch(async (error: unknown) => {
        log.error({ err: error, executionId }, "execution could not be recorded");
        // The execution is released, because the worker still has its run, and the router that claims the
        // execution next can attach to that run and record the ending.
        await store.release(executionId);
      })
      .catch((error: unknown) => log.error({ err: error, executionId }, "execution could not be given back"))
      .finally(() => {
        runs.delete(executionId);
        stopListening();
        underWay.delete(executionId);
      });
    runs.set(executionId, done);
  };

  return {
    dispatch: (executionId, project, submitter) =>
      own(executionId, () => {
        if (submitter) underWay.set(executionId, submitter);
        return runExecution({ executionId, project, isNew: submitter !== undefined }, parts, shutdown);
      }),
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
