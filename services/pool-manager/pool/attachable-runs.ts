import type { Clock } from "#common/resilience/clock.ts";
import type { Worker } from "../worker/worker.ts";
import { type LeaseClaim, newLeaseClaim } from "./lease.ts";
import { holdOrWait, type Slot } from "./slot.ts";

/**
 * Makes a claim for each run on a taken-over worker before its router attaches, which may take a while. A
 * running execution gets the slot, so that the worker does not look idle. Each claim lasts as long as the
 * worker keeps its run (`graceMs`). `isWaitedFor` returns true for an execution whose router attached before
 * the worker was connected.
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
