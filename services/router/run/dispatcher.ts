import type { LostExecution } from "../store/store.ts";
import type { RunParts } from "./open-run.ts";
import { runExecution, takeOverExecution } from "./run-execution.ts";

/** Owns the runs of this router: every unfinished execution that it has, has one. */
export type Dispatcher = {
  /** Starts the run of an execution that this router has claimed, unless it is on its way already. */
  dispatch(executionId: string, project: string): void;
  /** The same for one that had started when its router went. */
  takeOver(lost: LostExecution): void;
  has(executionId: string): boolean;
  /** Starts nothing more, lets what runs end for `graceMs`, then ends it; resolves when all is recorded. */
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
        // Whoever claims it, this router perhaps, finds what its worker still has.
        await store.release(executionId);
      })
      .catch((error: unknown) => log.error({ err: error, executionId }, "execution could not be given back"))
      .finally(() => runs.delete(executionId));
    runs.set(executionId, done);
  };

  return {
    dispatch: (executionId, project) =>
      own(executionId, () => runExecution(executionId, project, parts, shutdown)),
    takeOver: (lost) => own(lost.executionId, () => takeOverExecution(lost, parts, shutdown)),
    has: (executionId) => runs.has(executionId),
    async drain(graceMs) {
      draining.abort();
      const stopTimer = clock.after(graceMs, () => over.abort());
      await Promise.all(runs.values());
      stopTimer();
    },
  };
}
