import type { LeaseSession } from "../peers/lease.ts";
import type { RunParts } from "./open-run.ts";

// A worker keeps a run that has lost its caller for a minute; that it is dead its lease says at once.
const REACH_AGAIN_MS = 20_000;

/** Resolves when the worker can be reached, which may take a while after a fault in the network. Rejects when it is lost. */
export async function reachAgain(
  address: string,
  lease: LeaseSession,
  { workers, clock }: Pick<RunParts, "workers" | "clock">,
): Promise<void> {
  for (const until = clock.monotonicMs() + REACH_AGAIN_MS; ; ) {
    try {
      return await Promise.race([workers.reach(address), lease.lost]);
    } catch (error) {
      if (clock.monotonicMs() > until || (await isSettled(lease.lost))) throw error;
    }
  }
}

async function isSettled(promise: Promise<never>): Promise<boolean> {
  return await Promise.race([promise, Promise.resolve()]).then(
    () => false,
    () => true,
  );
}
