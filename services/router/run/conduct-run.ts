import { type Ending, NO_OUTPUT } from "../execution.ts";
import { awaitStore } from "./await-store.ts";
import { endingOfFailure } from "./ending.ts";
import { runOnWorker } from "./follow-run.ts";
import { createInterruption, type Interruption, isHandedOver } from "./interruption.ts";
import { logEnded } from "./log-ended.ts";
import type { Before, OpenRun, RunParts, RunPlan, Shutdown } from "./open-run.ts";
import { openOutputLog } from "./output-log.ts";
import { recordEnding } from "./record-ending.ts";
import { createResponseTimer } from "./response-timer.ts";
import { type EndedRun, isSuperseded } from "./run-stream.ts";
import { createRunningTime, noteRunningTime, type RunningTime } from "./running-time.ts";
import { type Stopwatch, startStopwatch } from "./stopwatch.ts";

type Conducted = {
  readonly executionId: string;
  readonly project: string;
  /** The stored output and running time of an execution that another router had started. */
  readonly before?: Before;
  /** Whether this router accepted the execution just now; undefined means false. */
  readonly isNew?: boolean | undefined;
};

/**
 * Takes one execution to exactly one recorded ending, or leaves it to another router. `prepare` acquires the
 * execution's worker, and resolves to undefined when this router may not start the execution any more.
 */
export async function conductRun(
  { executionId, project, before, isNew = false }: Conducted,
  parts: RunParts,
  shutdown: Shutdown,
  prepare: (run: OpenRun) => Promise<RunPlan | undefined>,
): Promise<void> {
  const { store, clock, log } = parts;
  const interruption = createInterruption();
  let watch: Stopwatch | undefined;
  let time: RunningTime | undefined;
  let stopNoting: () => void = () => undefined;
  const stopListening = listenForCancel(executionId, isNew, parts, interruption);
  const stopObeying = obeyShutdown(
    shutdown,
    interruption,
    store.isShared || parts.leavesRuns === true,
    () => watch?.isRunning() === true,
  );
  const onError = (error: unknown) => log.error({ err: error, executionId }, "output not stored");
  const output = openOutputLog(store, executionId, clock, onError, before ?? NO_OUTPUT);
  const run: OpenRun = { executionId, project, interruption, output, redactions: [] };
  let ended: EndedRun;
  try {
    const plan = await prepare(run);
    if (!plan || !run.lease) return;
    watch = startStopwatch(clock);
    const responseTimer = createResponseTimer(watch);
    time = createRunningTime(responseTimer, before?.ranMs ?? 0, plan.beginningMs);
    stopNoting = noteRunningTime(executionId, time, watch, store, clock);
    const leased = { ...run, lease: run.lease, stopwatch: watch, responseTimer, runningTime: time };
    ended = await runOnWorker(plan, leased, parts);
  } catch (error) {
    const hasStarted = watch !== undefined || before !== undefined;
    if (isSuperseded(error)) {
      await storeRedactions(run, parts);
      return run.lease?.abandon();
    }
    if (isHandedOver(error) || (shutdown.draining.aborted && !hasStarted)) {
      if (hasStarted) run.lease?.abandon();
      await output.flush();
      await storeRedactions(run, parts);
      return await store.release(executionId);
    }
    log.debug({ err: error, executionId }, "run broke off");
    const ranMs = time?.elapsedMs() ?? before?.ranMs ?? null;
    const ending = { ...endingOfFailure(error, ranMs, before !== undefined), truncated: output.cut() };
    ended = { ending, recorded() {}, leave() {} };
  } finally {
    stopNoting();
    stopListening();
    stopObeying();
    run.route?.close();
    run.lease?.release();
  }
  const last = await output.close();
  let recorded: Ending | undefined;
  try {
    recorded = await recordEnding(
      store,
      executionId,
      ended.ending,
      last,
      clock,
      log,
      shutdown.over,
      run.redactions,
    );
  } finally {
    if (recorded) {
      const { startedAtMs } = run;
      const elapsedMs = startedAtMs === undefined ? undefined : Math.max(0, clock.now() - startedAtMs);
      logEnded(log, { executionId, project, ending: recorded, elapsedMs });
      ended.recorded();
    } else ended.leave();
  }
}

/** Stores the redactions of a run whose ending this router does not record. A failure is logged. */
async function storeRedactions(
  { executionId, redactions }: OpenRun,
  { store, log }: RunParts,
): Promise<void> {
  await store
    .addRedactions(executionId, redactions)
    .catch((error: unknown) => log.error({ err: error, executionId }, "redactions not stored"));
}

function obeyShutdown(
  { draining, over }: Shutdown,
  interruption: Interruption,
  leavesRuns: boolean,
  isRunning: () => boolean,
): () => void {
  const stop = () =>
    leavesRuns
      ? interruption.interrupt("handed_over", "Another router continues the execution.")
      : interruption.interrupt(
          "worker_lost",
          "Airlock was stopped before the script ended; part of it may have run. Check for side effects, then submit it again.",
        );
  const stopUnlessRunning = () => {
    if (!isRunning()) stop();
  };
  draining.addEventListener("abort", stopUnlessRunning);
  over.addEventListener("abort", stop);
  if (over.aborted) stop();
  else if (draining.aborted) stopUnlessRunning();
  return () => {
    draining.removeEventListener("abort", stopUnlessRunning);
    over.removeEventListener("abort", stop);
  };
}

/**
 * Interrupts the run as cancelled when a caller asks for it. `isNew`: the execution was accepted just now, so
 * that no caller can have asked before.
 */
function listenForCancel(
  executionId: string,
  isNew: boolean,
  { store, clock, log }: RunParts,
  interruption: Interruption,
): () => void {
  const look = () => {
    awaitStore(() => store.isCancelRequested(executionId), interruption, clock)
      .then((asked) => asked && interruption.cancel())
      .catch((error: unknown) => log.error({ err: error, executionId }, "cancel request not read"));
  };
  const stopListening = store.onChange(executionId, (change) => {
    if (change === undefined) look();
    else if (change.kind === "cancel_requested") interruption.cancel();
  });
  if (!isNew) look();
  return stopListening;
}
