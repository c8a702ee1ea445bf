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
// A single worker may die just when it is granted, and the router then asks for another. After this many lost
// workers the execution ends as start_failed, because its project must be broken.
const MAX_LOST_GRANTS = 10;
// Milliseconds. When this router stood still for longer while it started an execution, another router may
// have taken the execution over and even ended it. So this router then does not start the script.
const LATE_START_MS = 10_000;

/**
 * Takes one pending execution to its ending: waits for a worker, runs the script there, and records exactly
 * one ending. In a shutdown a pending execution is released, for another router or the next start of this
 * one. A running execution is released when another router can continue it, and ends as worker_lost
 * otherwise.
 */
export async function runExecution(
  pending: Claim & { readonly isNew?: boolean | undefined },
  parts: RunParts,
  shutdown: Shutdown,
): Promise<void> {
  const { executionId, project } = pending;
  await conductRun(pending, parts, shutdown, async (run) => {
    const { store, clock } = parts;
    const granted = await waitForWorker(run, parts);
    const { workerId, workerAddress, secretsVersion, llmTimeoutMs, network } = granted;
    const grant = { workerId, workerAddress, secretsVersion, llmTimeoutMs, network };
    const startedAtMs = clock.now();
    const startedMonotonicMs = clock.monotonicMs();
    const start = () => store.start(executionId, startedAtMs, grant);
    const started = await awaitStore(start, run.interruption, clock);
    if (!started) return undefined;
    if (started.isCancelRequested) {
      run.interruption.cancel();
      run.interruption.signal.throwIfAborted();
    }
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
 * Takes over an execution whose router is gone, and takes it to its ending. A run that the worker still has
 * goes on. When the start message never reached the worker, it is sent again. In all other cases the
 * execution ends as worker_lost.
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
      // The worker is told to stop the run, because a run that no router follows would go on in a slot that
      // the pool-manager gives to the next run.
      if (!isHandedOver(error)) void stopRun(worker, { executionId, epoch, workerId: grant.workerId });
      throw error;
    });
  });
}

/**
 * Acquires the lease of the worker that has the run, and then waits for the sanitizer and the network route
 * at the same time, because the worker keeps a run without a router for only a minute.
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
  // A failed wait is ignored here: when the sanitizer does not come back, the run's output is withheld later.
  const sanitizer = awaitSanitizer(parts.sanitizer).catch(() => undefined);
  if (grant.network) {
    // When no route can be opened, the script goes on without one, and its connections fail.
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

/**
 * Opens the run's network route through the egress service. Rejects when the route cannot be opened, when the
 * worker of the lease is lost, or when the run is interrupted.
 */
async function routeOf(
  { interruption, executionId, project }: OpenRun,
  lease: LeaseSession,
  { workerId, workerAddress, secretsVersion }: Pick<Grant, "workerId" | "workerAddress" | "secretsVersion">,
  { egress }: RunParts,
): Promise<RouteSession> {
  const request = { project, executionId, workerId, workerAddress, secretsVersion };
  const over = new AbortController();
  const opened = openRoute(egress, request, AbortSignal.any([interruption.signal, over.signal]));
  try {
    return await interruption.race(Promise.race([opened, lease.lost]));
  } catch (error) {
    over.abort();
    // This handler does nothing: when the lease failed first, a later rejection of `opened` would be
    // unhandled and end the process.
    opened.catch(() => undefined);
    throw error;
  }
}

function unlessInterrupted(error: unknown): undefined {
  if (error instanceof Interrupted) throw error;
}

/**
 * Acquires a worker for a pending execution, and a network route if its project uses the network. Asks again
 * every 500 ms while the pool-manager or the granted worker cannot be reached. Lease and route are put into
 * `run`, so that they are closed when the run ends.
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
      // The disk may have filled while the execution waited for its worker. The worker is then given back,
      // and the execution waits for disk space.
      if (!storage.mayStart(project))
        throw new AirlockError("unavailable", "The disk has no room for what the execution would store.");
      // The pool-manager may grant a worker that has just died, so the router checks that it can reach the
      // worker. If not, the router asks for another worker, because nothing of the script has run yet.
      await interruption.race(workers.reach(granted.workerAddress));
      await interruption.race(awaitSanitizer(sanitizer));
      run.route = granted.network ? await routeOf(run, lease, granted, parts) : undefined;
      // A new worker may have the address of the granted one by now. Only the lease knows whether the granted
      // worker is lost.
      lease.check();
      return granted;
    } catch (error) {
      run.route?.close();
      lease.release();
      // Nothing of the script has run yet, so the router may ask for a worker again, also while the
      // pool-manager restarts.
      if (hasCode(error, "worker_lost") || hasCode(error, "deadline_exceeded")) lostGrants++;
      else if (!hasCode(error, "unavailable")) throw error;
      if (lostGrants === MAX_LOST_GRANTS) throw error;
      await wait(LEASE_RETRY_MS, clock, interruption.signal);
    }
  }
}

/**
 * Acquires a new lease of the worker that runs an execution, for the router that takes the execution over.
 * Asks again every 500 ms while the pool-manager restarts, and waits up to 20 s for the worker. Rejects with
 * an interruption as worker_lost when the worker is gone.
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
