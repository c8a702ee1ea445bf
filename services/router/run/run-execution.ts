import { AirlockError, hasCode } from "#common/errors.ts";
import { every, retry, wait } from "#common/resilience/retry.ts";
import type { LeaseGranted } from "#proto/pool_manager.ts";
import type { Grant } from "../execution.ts";
import { type LeaseSession, openLease } from "../peers/lease.ts";
import { openRoute, type RouteSession } from "../peers/route.ts";
import { awaitSanitizer } from "../peers/sanitizer.ts";
import type { Claim, LostExecution } from "../store/store.ts";
import { awaitStore } from "./await-store.ts";
import { conductRun } from "./conduct-run.ts";
import { Interrupted, type Interruption, isHandedOver } from "./interruption.ts";
import type { OpenRun, Placement, RunParts, Shutdown } from "./open-run.ts";
import { reachAgain } from "./reach-worker.ts";
import { stopRun } from "./run-stream.ts";
import { longestBeginningMs } from "./running-time.ts";
import { scriptToStart } from "./script-to-start.ts";

const LEASE_RETRY_MS = 500;
// A worker that dies in the moment it is granted is nobody's fault once, and a broken project in the long run.
const MAX_LOST_GRANTS = 10;
// A router that stood still for longer may be missed: another may have the execution, and have ended it by now.
const LATE_START_MS = 10_000;

/**
 * Brings one pending execution to its end: waits for a worker, runs the script there, and records exactly one ending.
 * In a shutdown a pending execution is given back, for another router or the next start; so is a running one where
 * there are other routers, and else it ends as worker_lost.
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
      throw new Interrupted("handed_over", "Another router goes on with it.");
    }
    const { submission, epoch } = started;
    const script = scriptToStart({ executionId, epoch }, store, submission);
    const { timeoutMs } = submission;
    const beginningMs = longestBeginningMs(submission);
    return { grant, timeoutMs, beginningMs, opening: { kind: "start", script, network: run.route?.network } };
  });
}

/**
 * Takes over an execution whose router went while it ran, and brings it to its end: what its worker still has goes on,
 * and what never came to its worker is started there. Else it ends as worker_lost.
 */
export async function takeOverExecution(
  lost: LostExecution,
  parts: RunParts,
  shutdown: Shutdown,
): Promise<void> {
  const { executionId, project, epoch, grant, position } = lost;
  const before = { position, ...(await soFar(executionId, parts)) };
  await conductRun({ executionId, project, before }, parts, shutdown, async (run) => {
    if (!grant) throw lostInRestart();
    return await takeUp(run, lost, grant, parts).catch((error: unknown) => {
      const worker = parts.workers.to(grant.workerAddress);
      // What runs there unheard would share its slot with the next one.
      if (!isHandedOver(error)) stopRun(worker, { executionId, epoch, workerId: grant.workerId });
      throw error;
    });
  });
}

/** Has the worker again, and all that a run needs besides, as soon as it can be had: the worker keeps the run for a while only. */
async function takeUp(run: OpenRun, lost: LostExecution, grant: Grant, parts: RunParts): Promise<Placement> {
  const { executionId, timeoutMs, epoch } = lost;
  const worker = await regainWorker(lost, grant, parts, run.interruption);
  run.lease = worker.lease;
  const itsGrant = { ...grant, workerAddress: worker.address };
  // One that stays away is met by what the script says, which is withheld.
  const sanitizer = awaitSanitizer(parts.sanitizer).catch(() => undefined);
  if (grant.network) {
    // Without its route the script goes on, and its connections fail.
    run.route = await routeOf(run, worker.lease, itsGrant, parts).catch(unlessInterrupted);
  }
  await run.interruption.race(sanitizer);
  const hasWays = !grant.network || run.route !== undefined;
  return {
    grant: itsGrant,
    timeoutMs,
    beginningMs: 0,
    opening: { kind: "attach", executionId, epoch },
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

/** Gives up when the worker is lost for which the route would be. */
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
    // When it was the lease that failed, nobody else hears of this.
    opened.catch(() => undefined);
    throw error;
  }
}

function unlessInterrupted(error: unknown): undefined {
  if (error instanceof Interrupted) throw error;
}

/** Puts the lease of a worker into `run`, and the route from there if the project reaches the network. */
async function waitForWorker(run: OpenRun, parts: RunParts): Promise<LeaseGranted> {
  const { executionId, project, interruption } = run;
  const { poolManager, workers, sanitizer, storage, clock } = parts;
  for (let lostGrants = 0; ; ) {
    await interruption.race(storage.awaitStart(project, interruption.signal));
    const lease = openLease(poolManager, { project, executionId, workerId: "" }, clock);
    run.lease = lease;
    try {
      const granted = await interruption.race(lease.granted());
      // The disk may have filled while it stood in the queue; the worker is for others then.
      if (!storage.mayStart(project)) throw new AirlockError("unavailable", "There is no room to start it.");
      // A worker that died a moment ago may be granted still; as long as nothing runs there, another will do.
      await interruption.race(workers.reach(granted.workerAddress));
      await interruption.race(awaitSanitizer(sanitizer));
      run.route = granted.network ? await routeOf(run, lease, granted, parts) : undefined;
      // Its address may be another's by now, of one that is being started.
      lease.check();
      return granted;
    } catch (error) {
      run.route?.close();
      lease.release();
      // Nothing has run yet, so asking again is safe; a pool-manager that restarts is waited for.
      if (hasCode(error, "worker_lost") || hasCode(error, "deadline_exceeded")) lostGrants++;
      else if (!hasCode(error, "unavailable")) throw error;
      if (lostGrants === MAX_LOST_GRANTS) throw error;
      await wait(LEASE_RETRY_MS, clock, interruption.signal);
    }
  }
}

/** The worker on which the execution runs already; a pool-manager that restarts is waited for, and a worker that stands still. */
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
