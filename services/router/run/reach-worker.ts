import { every, retry } from "#common/resilience/retry.ts";
import type { LeaseSession } from "../peers/lease.ts";
import type { RunParts } from "./open-run.ts";

// How long the router tries to reach a worker again: less than the minute for which a worker keeps a run that
// has no router. For a dead worker the attempts end at once, because the lease reports the death.
const REACH_AGAIN_MS = 20_000;

/**
 * Resolves when the worker can be reached again after a fault in the network. Rejects when the lease reports
 * that the worker is lost, or after 20 s.
 */
export async function reachAgain(
  address: string,
  lease: LeaseSession,
  { workers, clock }: Pick<RunParts, "workers" | "clock">,
): Promise<void> {
  const until = clock.monotonicMs() + REACH_AGAIN_MS;
  await retry(() => Promise.race([workers.reach(address), lease.lost]), {
    mayRetry: async () => clock.monotonicMs() <= until && !(await isSettled(lease.lost)),
    // No delay between attempts, because each attempt itself waits up to 2 s for a connection.
    delayMs: every(0),
    clock,
  });
}

async function isSettled(promise: Promise<never>): Promise<boolean> {
  return await Promise.race([promise, Promise.resolve()]).then(
    () => false,
    () => true,
  );
}
