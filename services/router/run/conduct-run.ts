import type { WorkerConnections } from "#common/grpc/worker-connections.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { EgressServiceClient } from "#proto/egress.ts";
import type { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import type { SanitizerServiceClient } from "#proto/sanitizer.ts";
import { type Ending, type Grant, NO_OUTPUT, type OutputPiece } from "../execution.ts";
import type { LeaseSession } from "../peers/lease.ts";
import type { RouteSession } from "../peers/route.ts";
import type { Storage } from "../storage/storage.ts";
import type { ExecutionStore } from "../store/store.ts";
import { awaitStore } from "./await-store.ts";
import { endingOfFailure } from "./ending.ts";
import { runOnWorker } from "./follow-run.ts";
import { createInterruption, type Interruption, isHandedOver } from "./interruption.ts";
import { logEnded } from "./log-ended.ts";
import { type OutputLog, openOutputLog } from "./output-log.ts";
import { recordEnding } from "./record-ending.ts";
import { createPatience } from "./response-timer.ts";
import { isSuperseded, type Opening, type Outcome } from "./run-stream.ts";
import { createRunningTime, longestBeginningMs, noteRunningTime, type RunningTime } from "./running-time.ts";
import { type Stopwatch, startStopwatch } from "./stopwatch.ts";

export type RunParts = {
  readonly store: ExecutionStore;
  readonly storage: Pick<Storage, "mayStart" | "awaitStart">;
  readonly poolManager: PoolManagerServiceClient;
  readonly sanitizer: SanitizerServiceClient;
  readonly egress: EgressServiceClient;
  readonly workers: WorkerConnections;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the next start goes on with what runs, although no other router is there; not unless said. */
  readonly leavesRuns?: boolean | undefined;
};

/** How the router stops: first nothing new starts and pauses end, then what still runs is ended. */
export type Shutdown = { readonly draining: AbortSignal; readonly over: AbortSignal };

/** One execution in this router's hands; whoever opens the lease and the route puts them here, to be closed at the end. */
export type OpenRun = {
  readonly executionId: string;
  readonly project: string;
  readonly interruption: Interruption;
  readonly output: OutputLog;
  /** Set once the script has started here. */
  startedAtMs?: number;
  lease?: LeaseSession;
  route?: RouteSession | undefined;
};

/** Of an execution that had started when another router had it: its output, and how long it had run. */
export type Before = OutputPiece & { readonly ranMs: number };

/** Where an execution runs, and how its conversation begins; `orStart`: when the worker has never had the run. */
export type Placement = {
  readonly grant: Grant;
  readonly timeoutMs: number;
  readonly opening: Opening;
  readonly orStart?: Opening | undefined;
};

/**
 * Brings an execution to its end, from `prepare`, which finds its worker, to exactly one recorded ending. `prepare`
 * resolves to undefined when the execution may not start any more. `before`: of one that had started.
 */
export async function conductRun(
  { executionId, project, before }: { executionId: string; project: string; before?: Before },
  parts: RunParts,
  shutdown: Shutdown,
  prepare: (run: OpenRun) => Promise<Placement | undefined>,
): Promise<void> {
  const { store, clock, log } = parts;
  const interruption = createInterruption();
  let watch: Stopwatch | undefined;
  let time: RunningTime | undefined;
  let stopNoting: () => void = () => undefined;
  const stopListening = listenForCancel(executionId, parts, interruption);
  const stopObeying = obeyShutdown(
    shutdown,
    interruption,
    store.isShared || parts.leavesRuns === true,
    () => watch?.isRunning() === true,
  );
  const onError = (error: unknown) => log.error({ err: error, executionId }, "output not stored");
  const output = openOutputLog(store, executionId, clock, onError, before ?? NO_OUTPUT);
  const run: OpenRun = { executionId, project, interruption, output };
  let outcome: Outcome;
  try {
    const placement = await prepare(run);
    if (!placement || !run.lease) return;
    watch = startStopwatch(clock);
    const patience = createPatience(watch);
    const { opening } = placement;
    const uncountedMs = opening.kind === "start" ? longestBeginningMs(opening.started.submission) : 0;
    time = createRunningTime(patience, before?.ranMs ?? 0, uncountedMs);
    stopNoting = noteRunningTime(executionId, time, watch, store, clock);
    const leased = { ...run, lease: run.lease, stopwatch: watch, patience, runningTime: time };
    outcome = await runOnWorker(placement, leased, parts);
  } catch (error) {
    const hasStarted = watch !== undefined || before !== undefined;
    if (isSuperseded(error)) return run.lease?.abandon();
    if (isHandedOver(error) || (shutdown.draining.aborted && !hasStarted)) {
      if (hasStarted) run.lease?.abandon();
      await output.flush();
      return await store.release(executionId);
    }
    log.debug({ err: error, executionId }, "run broke off");
    const ranMs = time?.elapsedMs() ?? before?.ranMs ?? null;
    const ending = { ...endingOfFailure(error, ranMs, before !== undefined), truncated: output.cut() };
    outcome = { ending, recorded() {}, leave() {} };
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
    recorded = await recordEnding(store, executionId, outcome.ending, last, clock, log, shutdown.over);
  } finally {
    if (recorded) {
      const { startedAtMs } = run;
      const elapsedMs = startedAtMs === undefined ? undefined : Math.max(0, clock.now() - startedAtMs);
      logEnded(log, { executionId, project, ending: recorded, elapsedMs });
      outcome.recorded();
    } else outcome.leave();
  }
}

function obeyShutdown(
  { draining, over }: Shutdown,
  interruption: Interruption,
  leavesRuns: boolean,
  isRunning: () => boolean,
): () => void {
  const stop = () =>
    leavesRuns
      ? interruption.interrupt("handed_over", "Another router goes on with it.")
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

function listenForCancel(
  executionId: string,
  { store, clock, log }: RunParts,
  interruption: Interruption,
): () => void {
  const look = () => {
    awaitStore(() => store.isCancelRequested(executionId), interruption, clock)
      .then((asked) => asked && interruption.interrupt("cancelled", "The execution was cancelled."))
      .catch((error: unknown) => log.error({ err: error, executionId }, "cancel request not read"));
  };
  const stopListening = store.onChange(executionId, look);
  look();
  return stopListening;
}
