import { AirlockError, hasCode } from "#common/errors.ts";
import { every, retry, wait } from "#common/resilience/retry.ts";
import type { LeaseGranted } from "#proto/pool_manager.ts";
import type { Grant } from "../execution.ts";
import { type LeaseSession, openLease } from "../peers/lease.ts";
import { openRoute, type RouteSession } from "../peers/route.ts";
import { awaitSanitizer } from "../peers/sanitizer.ts";
import type { Claim, OrphanedExecution } from "../store/store.ts";
import { awaitStore } from "./await-store.ts";
import { conductRun } from "./conduct-run.ts";
import { Interrupted, type Interruption, isHandedOver } from "./interruption.ts";
import type { OpenRun, RunParts, RunPlan, Shutdown } from "./open-run.ts";
import { reachAgain } from "./reach-worker.ts";
import { stopRun } from "./run-stream.ts";
import { longestBeginningMs } from "./running-time.ts";
import { scriptToStart } from "./script-to-start.ts";

const LEASE_RETRY_MS = 500;
// A single worker may die while it is granted. Ten in a row mean that the project is broken.
const MAX_LOST_GRANTS = 10;
// After a longer standstill another router may have taken the execution over and even ended it.
const LATE_START_MS = 10_000;

/**
 * Takes one pending execution to its ending: waits for a worker, runs the script there, and records exactly one
 * ending. In a shutdown a pending execution is released for another router or the next start. A running one is
 * released where other routers exist, and ends as worker_lost where none does.
 */
export async function runExecution(
  executionId: string,
  project: string,
  parts: RunParts,
  shutdown: Shutdown,
): Promise<void> {
  await conductRun({ executionId, project }, parts, shutdown, async (run) => {
    const { store, clock } = parts;
    const granted = await waitForWorker(run, parts);
    const { workerId, workerAddress, secretsVersion, llmTimeoutMs, network } = granted;
    const grant = { workerId, workerAddress, secretsVersion, llmTimeoutMs, network };
    const startedAtMs = clock.now();
    const startedMonotonicMs = clock.monotonicMs();
    const start = () => store.start(executionId, startedAtMs, grant);
    const started = await awaitStore(start, run.interruption, clock);
    if (!started) return undefined;
    run.startedAtMs = startedAtMs;
    const waitedMs = Math.max(0, startedAtMs - started.submission.createdAtMs);
    parts.log.info({ executionId, project, workerId, waitedMs }, "execution started");
    if (store.isShared && clock.monotonicMs() - startedMonotonicMs > LATE_START_MS) {
      run.lease?.abandon();
      throw new Interrupted("handed_over", "Another router continues the execution.");
    }
    const { submission, epoch } = started;
    const script = scriptToStart({ executionId, epoch }, store, submission);
    const { timeoutMs } = submission;
    const beginningMs = longestBeginningMs(submission);
    return { grant, timeoutMs, beginningMs, entry: { kind: "start", script, network: run.route?.network } };
  });
}

/**
 * Takes over an execution whose router is gone, and takes it to its ending. A run that the worker still has goes on;
 * a start that never reached the worker is sent again. Otherwise the execution ends as worker_lost.
 */
export async function takeOverExecution(
  orphaned: OrphanedExecution,
  parts: RunParts,
  shutdown: Shutdown,
): Promise<void> {
  const { executionId, project, epoch, grant, position } = orphaned;
  const before = { position, ...(await soFar(executionId, parts)) };
  await conductRun({ executionId, project, before }, parts, shutdown, async (run) => {
    if (!grant) throw lostInRestart();
    return await takeUp(run, orphaned, grant, parts).catch((error: unknown) => {
      const worker = parts.workers.to(grant.workerAddress);
      // A run that no router follows would share its slot with the next run.
      if (!isHandedOver(error)) void stopRun(worker, { executionId, epoch, workerId: grant.workerId });
      throw error;
    });
  });
}

/**
 * Gets the lease of the worker, the sanitizer and the route again, in parallel because the worker keeps the run for a
 * limited time.
 */
async function takeUp(
  run: OpenRun,
  orphaned: OrphanedExecution,
  grant: Grant,
  parts: RunParts,
): Promise<RunPlan> {
  const { executionId, timeoutMs, epoch } = orphaned;
  const worker = await regainWorker(orphaned, grant, parts, run.interruption);
  run.lease = worker.lease;
  const itsGrant = { ...grant, workerAddress: worker.address };
  // If the sanitizer does not come back, the run's output is withheld later, so a failed wait is ignored here.
  const sanitizer = awaitSanitizer(parts.sanitizer).catch(() => undefined);
  if (grant.network) {
    // Without a route the script goes on, and its connections fail.
    run.route = await routeOf(run, worker.lease, itsGrant, parts).catch(unlessInterrupted);
  }
  await run.interruption.race(sanitizer);
  const hasWays = !grant.network || run.route !== undefined;
  return {
    grant: itsGrant,
    timeoutMs,
    beginningMs: 0,
    entry: { kind: "attach", executionId, epoch },
    orStart: hasWays
      ? {
          kind: "start",
          script: scriptToStart({ executionId, epoch }, parts.store),
          network: run.route?.network,
        }
      : undefined,
  };
}

async function soFar(
  executionId: string,
  { store }: RunParts,
): Promise<{ stdout: string; stderr: string; ranMs: number }> {
  const execution = await store.get(executionId);
  const ranMs = execution?.executionTimeMs ?? 0;
  return { stdout: execution?.stdout ?? "", stderr: execution?.stderr ?? "", ranMs };
}

/** Opens the run's route through the egress service. Rejects when the worker of the lease is lost. */
async function routeOf(
  { interruption, executionId, project }: OpenRun,
  lease: LeaseSession,
  { workerId, workerAddress }: Pick<Grant, "workerId" | "workerAddress">,
  { egress }: RunParts,
): Promise<RouteSession> {
  const request = { project, executionId, workerId, workerAddress };
  const over = new AbortController();
  const opened = openRoute(egress, request, AbortSignal.any([interruption.signal, over.signal]));
  try {
    return await interruption.race(Promise.race([opened, lease.lost]));
  } catch (error) {
    over.abort();
    // When the lease failed first, this rejection would be unhandled.
    opened.catch(() => undefined);
    throw error;
  }
}

function unlessInterrupted(error: unknown): undefined {
  if (error instanceof Interrupted) throw error;
}

/**
 * Acquires a worker, and a route if the project has a network. Both are put into `run`, which closes them at its end.
 */
async function waitForWorker(run: OpenRun, parts: RunParts): Promise<LeaseGranted> {
  const { executionId, project, interruption } = run;
  const { poolManager, workers, sanitizer, storage, clock } = parts;
  for (let lostGrants = 0; ; ) {
    await interruption.race(storage.awaitStart(project, interruption.signal));
    const lease = openLease(poolManager, { project, executionId, workerId: "" }, clock);
    run.lease = lease;
    try {
      const granted = await interruption.race(lease.granted());
      // The disk may have filled while the execution waited. The worker then goes to another execution.
      if (!storage.mayStart(project))
        throw new AirlockError("unavailable", "The disk has no room for what the execution would store.");
      // The pool-manager may grant a worker that has just died. Nothing runs there yet, so another worker will do.
      await interruption.race(workers.reach(granted.workerAddress));
      await interruption.race(awaitSanitizer(sanitizer));
      run.route = granted.network ? await routeOf(run, lease, granted, parts) : undefined;
      // The address may belong to a newly started worker by now. The lease knows whether the granted worker
      // is lost.
      lease.check();
      return granted;
    } catch (error) {
      run.route?.close();
      lease.release();
      // Nothing has run yet, so asking again is safe, also while the pool-manager restarts.
      if (hasCode(error, "worker_lost") || hasCode(error, "deadline_exceeded")) lostGrants++;
      else if (!hasCode(error, "unavailable")) throw error;
      if (lostGrants === MAX_LOST_GRANTS) throw error;
      await wait(LEASE_RETRY_MS, clock, interruption.signal);
    }
  }
}

/**
 * A new lease of the worker that runs the execution. Waits while the pool-manager restarts or the worker stands
 * still.
 */
async function regainWorker(
  { executionId, project }: Claim,
  { workerId }: Grant,
  { poolManager, workers, clock }: RunParts,
  interruption: Interruption,
): Promise<{ lease: LeaseSession; address: string }> {
  const attach = async () => {
    const lease = openLease(poolManager, { project, executionId, workerId }, clock);
    try {
      const { workerAddress: address } = await interruption.race(lease.granted());
      await interruption.race(reachAgain(address, lease, { workers, clock }));
      return { lease, address };
    } catch (error) {
      lease.release();
      throw hasCode(error, "worker_lost") ? lostInRestart(error) : error;
    }
  };
  return await retry(attach, {
    mayRetry: (error) => hasCode(error, "unavailable"),
    delayMs: every(LEASE_RETRY_MS),
    clock,
    signal: interruption.signal,
  });
}

function lostInRestart(cause?: unknown): Interrupted {
  return new Interrupted(
    "worker_lost",
    "Airlock was restarted while the script ran, and its worker is gone; part of it may have run. Check for side effects, then submit it again.",
    { cause },
  );
}
