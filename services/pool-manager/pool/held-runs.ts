import type { Clock } from "#common/resilience/clock.ts";
import type { Worker } from "../worker/worker.ts";
import { type Claim, newClaim } from "./lease.ts";
import { holdOrWait, type Slot } from "./slot.ts";

/**
 * Gives the runs that live on a worker that was taken over their claims before their routers come, which may take a while: what
 * runs has the slot, and the worker does not look idle. Each waits as long as the worker keeps its run. `isWaitedFor`: the router has
 * come before the worker.
 */
export function claimHeldRuns(
  slot: Slot,
  isWaitedFor: (executionId: string) => boolean,
  { clock, release }: { readonly clock: Clock; release(claim: Claim): void },
): void {
  for (const { executionId, paused, graceMs } of slot.worker.heldRuns) {
    if (isWaitedFor(executionId)) continue;
    const claim = newClaim(executionId, clock.monotonicMs());
    claim.granted.resolve(slot.worker);
    claim.keepOn = clock.after(graceMs, () => release(claim));
    slot.claims.add(claim);
    if (!paused) holdOrWait(slot, claim);
  }
}

/** Whether the worker said of the execution, when it was taken over, that it is paused. */
export function isHeldPaused({ heldRuns }: Worker, executionId: string): boolean {
  return heldRuns.some((run) => run.paused && run.executionId === executionId);
}
