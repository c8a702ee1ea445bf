import { every, retry } from "#common/resilience/retry.ts";
import type { LeaseSession } from "../peers/lease.ts";
import type { RunParts } from "./open-run.ts";

// A worker keeps a run without a caller for a minute. The lease says at once when the worker is dead.
const REACH_AGAIN_MS = 20_000;

/**
 * Resolves when the worker can be reached, which may take a while after a fault in the network. Rejects when
 * the worker is lost.
 */
export async function reachAgain(
  address: string,
  lease: LeaseSession,
  { workers, clock }: Pick<RunParts, "workers" | "clock">,
): Promise<void> {
  const until = clock.monotonicMs() + REACH_AGAIN_MS;
  await retry(() => Promise.race([workers.reach(address), lease.lost]), {
    mayRetry: async () => clock.monotonicMs() <= until && !(await isSettled(lease.lost)),
    // Each attempt waits for its connection.
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
