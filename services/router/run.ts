import type { Clock } from "../common/clock.ts";
import { hasCode } from "../common/errors.ts";
import type { EgressServiceClient } from "../common/gen/airlock/v1/egress.ts";
import type { LeaseGranted, PoolManagerServiceClient } from "../common/gen/airlock/v1/pool_manager.ts";
import type { SanitizerServiceClient } from "../common/gen/airlock/v1/sanitizer.ts";
import type { Log } from "../common/log.ts";
import type { WorkerConnections } from "../common/worker-connections.ts";
import { awaitStore } from "./await-store.ts";
import { endingOfFailure } from "./ending.ts";
import type { Ending, Submission } from "./execution.ts";
import { createInterruption, type Interruption } from "./interruption.ts";
import { type LeaseSession, openLease } from "./lease-session.ts";
import { type OutputLog, openOutputLog } from "./output-log.ts";
import { recordEnding } from "./record-ending.ts";
import { openRoute, type RouteSession } from "./route-session.ts";
import { awaitSanitizer, openSanitizer } from "./sanitizer-session.ts";
import { type Stopwatch, startStopwatch } from "./stopwatch.ts";
import type { ExecutionStore } from "./store/store.ts";
import { converse } from "./worker-conversation.ts";

export type RunParts = {
  readonly store: ExecutionStore;
  readonly poolManager: PoolManagerServiceClient;
  readonly sanitizer: SanitizerServiceClient;
  readonly egress: EgressServiceClient;
  readonly workers: WorkerConnections;
  readonly clock: Clock;
  readonly log: Log;
};

// The worker ends a run at its timeout; this is how much later the router no longer believes in the worker.
const TIMEOUT_GRACE_MS = 5_000;
const CONDEMN_TIMEOUT_MS = 2_000;
const LEASE_RETRY_MS = 500;
// A worker that dies in the moment it is granted is nobody's fault once, and a broken project in the long run.
const MAX_LOST_GRANTS = 10;

/** How the router stops: first nothing new starts and pauses end, then what still runs is ended. */
export type Shutdown = { readonly draining: AbortSignal; readonly over: AbortSignal };

/**
 * Brings one pending execution to its end: waits for a worker, runs the script there, and records exactly one ending.
 * In a shutdown a pending execution is given back, for another router or the next start; a running one ends as
 * worker_lost.
 */
export async function runExecution(
  executionId: string,
  project: string,
  parts: RunParts,
  shutdown: Shutdown,
): Promise<void> {
  const { store, clock } = parts;
  const interruption = createInterruption();
  const watch: { current?: Stopwatch } = {};
  const stopListening = listenForCancel(executionId, parts, interruption);
  const stopObeying = obeyShutdown(shutdown, interruption, () => watch.current?.isRunning() === true);
  const output = openOutputLog(store, executionId, clock, (error) =>
    parts.log.error({ err: error, executionId }, "output not stored"),
  );
  let lease: LeaseSession | undefined;
  let route: RouteSession | undefined;
  let ending: Ending;
  try {
    const worker = await waitForWorker(executionId, project, parts, interruption);
    lease = worker.lease;
    await interruption.race(awaitSanitizer(parts.sanitizer));
    if (worker.granted.network) {
      const opening = openRoute(
        parts.egress,
        { project, executionId, workerAddress: worker.granted.workerAddress },
        interruption.signal,
      );
      route = await interruption.race(opening);
    }
    const startedAtMs = clock.now();
    const submission = await awaitStore(() => store.start(executionId, startedAtMs), interruption, clock);
    if (!submission) return;
    watch.current = startStopwatch(clock);
    ending = await runOnWorker(
      submission,
      { ...worker.granted, route },
      lease,
      output,
      watch.current,
      interruption,
      parts,
    );
  } catch (error) {
    if (shutdown.draining.aborted && !watch.current) return await store.release(executionId);
    parts.log.debug({ err: error, executionId }, "run broke off");
    ending = endingOfFailure(error, watch.current?.elapsedMs() ?? null);
  } finally {
    stopListening();
    stopObeying();
    route?.close();
    lease?.release();
  }
  const last = await output.close();
  await recordEnding(store, executionId, ending, last, clock, parts.log, shutdown.over);
}

async function waitForWorker(
  executionId: string,
  project: string,
  { poolManager, workers, clock }: RunParts,
  interruption: Interruption,
): Promise<{ lease: LeaseSession; granted: LeaseGranted }> {
  for (let lostGrants = 0; ; ) {
    const lease = openLease(poolManager, project, executionId, interruption.signal);
    try {
      const granted = await interruption.race(lease.granted());
      // A worker that died a moment ago may be granted still; as long as nothing runs there, another will do.
      await interruption.race(workers.reach(granted.workerAddress));
      // Its address may be another's by now, of one that is being started.
      lease.check();
      return { lease, granted };
    } catch (error) {
      lease.release();
      // Nothing has run yet, so asking again is safe; a pool-manager that restarts is waited for.
      if (hasCode(error, "worker_lost") || hasCode(error, "deadline_exceeded")) lostGrants++;
      else if (!hasCode(error, "unavailable")) throw error;
      if (lostGrants === MAX_LOST_GRANTS) throw error;
      await interruption.race(new Promise<void>((resolve) => clock.after(LEASE_RETRY_MS, resolve)));
    }
  }
}

async function runOnWorker(
  submission: Submission,
  granted: LeaseGranted & { readonly route: RouteSession | undefined },
  lease: LeaseSession,
  output: OutputLog,
  stopwatch: Stopwatch,
  interruption: Interruption,
  parts: RunParts,
): Promise<Ending> {
  const { executionId, project, timeoutMs } = submission;
  const sanitizer = openSanitizer(
    parts.sanitizer,
    { project, executionId, secretsVersion: granted.secretsVersion },
    output.add,
    parts.clock,
  );
  const stopTimer = armTimeout(timeoutMs + TIMEOUT_GRACE_MS, stopwatch, parts.clock, () => {
    const interrupt = () =>
      interruption.interrupt(
        "worker_lost",
        "The worker stopped answering and is being replaced; part of the script may have run. Check for side effects, then submit it again.",
      );
    const stopWaiting = parts.clock.after(CONDEMN_TIMEOUT_MS, interrupt);
    const report = (error: unknown) => parts.log.warn({ err: error, executionId }, "worker not condemned");
    void lease.condemn().catch(report).finally(stopWaiting).then(interrupt);
  });
  try {
    return await converse(submission, {
      worker: parts.workers.to(granted.workerAddress),
      llmTimeoutMs: granted.llmTimeoutMs,
      network: granted.route?.network,
      sanitizer,
      lease,
      output,
      stopwatch,
      interruption,
      store: parts.store,
      clock: parts.clock,
    });
  } catch (error) {
    if (hasCode(error, "unavailable")) parts.workers.forget(granted.workerAddress);
    throw error;
  } finally {
    stopTimer();
    sanitizer.close();
    // Before the ending: whoever sees that finds these, too.
    await parts.store
      .addRedactions(executionId, sanitizer.takeRedactions())
      .catch((error: unknown) => parts.log.error({ err: error, executionId }, "redactions not stored"));
  }
}

/** Calls `onOver` when the stopwatch has counted this long; the returned function stops that. */
function armTimeout(limitMs: number, stopwatch: Stopwatch, clock: Clock, onOver: () => void): () => void {
  let cancel: () => void = () => undefined;
  const arm = () => {
    const leftMs = limitMs - stopwatch.elapsedMs();
    // A pause stops the stopwatch, not this timer: it looks again when it fires too early.
    if (leftMs > 0) cancel = clock.after(Math.max(leftMs, 10), arm);
    else onOver();
  };
  arm();
  return () => cancel();
}

function obeyShutdown(
  { draining, over }: Shutdown,
  interruption: Interruption,
  isRunning: () => boolean,
): () => void {
  const stop = () =>
    interruption.interrupt(
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
