import type { Clock } from "#common/resilience/clock.ts";
import type { Worker } from "../worker/worker.ts";
import { type LeaseClaim, newLeaseClaim } from "./lease.ts";
import { holdOrWait, type Slot } from "./slot.ts";

/**
 * Makes a claim (a lease as the pool sees it) for each run on a worker that was taken over from an earlier
 * pool-manager, because the run's router may attach only after a while. A running execution gets the worker's
 * slot, so that the worker does not look idle; a paused one does not need it. Each claim ends after the time
 * that the worker keeps its run without a router (`graceMs`), unless a router attaches before. `isWaitedFor`
 * returns true for an execution whose router attached before the worker was connected; no claim is made for
 * it.
 */
export function claimAttachableRuns(
  slot: Slot,
  isWaitedFor: (executionId: string) => boolean,
  { clock, release }: { readonly clock: Clock; release(claim: LeaseClaim): void },
): void {
  for (const { executionId, paused, graceMs } of slot.worker.attachableRuns) {
    if (isWaitedFor(executionId)) continue;
    const claim = newLeaseClaim(executionId, clock.monotonicMs());
    claim.granted.resolve(slot.worker);
    claim.keepOn = clock.after(graceMs, () => release(claim));
    slot.claims.add(claim);
    if (!paused) holdOrWait(slot, claim);
  }
}

/** Whether the worker reported the execution as paused when it was taken over. */
export function isFoundPaused({ attachableRuns }: Worker, executionId: string): boolean {
  return attachableRuns.some((run) => run.paused && run.executionId === executionId);
}
