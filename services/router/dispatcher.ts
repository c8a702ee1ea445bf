import { failure } from "./execution.ts";
import type { RunParts } from "./run.ts";
import { runExecution } from "./run.ts";

/** Owns the runs of this router: every unfinished execution has one. */
export type Dispatcher = {
  dispatch(executionId: string, project: string): void;
  /** Executions of the project that have not ended. */
  unfinished(project: string): number;
  /** Takes up what an earlier process left: pending ones run, the others have lost their worker. */
  recover(): Promise<void>;
  /** Starts nothing more, lets what runs end for `graceMs`, then ends it; resolves when all is recorded. */
  drain(graceMs: number): Promise<void>;
};

type Run = { readonly project: string; readonly done: Promise<void> };

export function createDispatcher(parts: RunParts): Dispatcher {
  const { store, clock, log } = parts;
  const runs = new Map<string, Run>();
  const draining = new AbortController();
  const over = new AbortController();
  const shutdown = { draining: draining.signal, over: over.signal };

  const dispatch = (executionId: string, project: string) => {
    if (draining.signal.aborted) return;
    const done = runExecution(executionId, project, parts, shutdown)
      .catch((error: unknown) => log.error({ err: error, executionId }, "execution could not be recorded"))
      .finally(() => runs.delete(executionId));
    runs.set(executionId, { project, done });
  };

  return {
    dispatch,
    unfinished: (project) => [...runs.values()].filter((run) => run.project === project).length,
    async recover() {
      for (const { executionId, project, status } of await store.listUnfinished()) {
        if (status === "pending") {
          dispatch(executionId, project);
          continue;
        }
        const ending = (await store.isCancelRequested(executionId))
          ? failure("cancelled", "The execution was cancelled.")
          : failure(
              "worker_lost",
              "Airlock was restarted while the script ran; part of it may have run. Check for side effects, then submit it again.",
            );
        await store.finish(executionId, ending, { stdout: "", stderr: "" }, clock.now());
        log.warn({ executionId }, "execution lost in a restart");
      }
    },
    async drain(graceMs) {
      const all = () => Promise.all([...runs.values()].map((run) => run.done));
      draining.abort();
      const stopTimer = clock.after(graceMs, () => over.abort());
      await all();
      stopTimer();
    },
  };
}
