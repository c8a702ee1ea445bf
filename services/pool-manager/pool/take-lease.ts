import type { AirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { ATTACH_GRACE_MS } from "#common/service/grace-periods.ts";
import type { Log } from "#common/service/log.ts";
import type { Lease, LeaseClaim } from "./lease.ts";
import { isPausedOn, parkClaim, type Slot } from "./slot.ts";
import { retired } from "./slot-state.ts";

/** The parts of a pool that a lease uses. */
export type LeaseParts = {
  readonly project: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The worker on which the claim's execution runs or is paused; undefined when there is none. */
  slotOf(claim: LeaseClaim): Slot | undefined;
  /** The error for a worker that is not in the pool. */
  missing(): AirlockError;
  position(claim: LeaseClaim): number;
  /** Grants free workers; called when a worker may have become free. */
  dispatch(): void;
  /** Removes the claim from the pool. */
  release(claim: LeaseClaim): void;
};

/**
 * Makes a new lease on the claim, for the router that has the execution now. Earlier leases on the claim have
 * no effect any more.
 */
export function takeLease(claim: LeaseClaim, parts: LeaseParts): Lease {
  const { project, clock, log, slotOf, dispatch, release } = parts;
  claim.keepOn?.();
  claim.keepOn = undefined;
  const holder = ++claim.holders;
  // Whether another lease has taken the claim over, so that requests on this lease come too late.
  const isLate = () => claim.holders !== holder;
  return {
    granted: claim.granted.promise,
    lost: claim.lost.promise,
    position: () => parts.position(claim),
    park() {
      if (isLate()) return;
      const slot = slotOf(claim);
      if (slot) parkClaim(slot, claim);
      dispatch();
    },
    resume() {
      const slot = isLate() ? undefined : slotOf(claim);
      if (!slot) return Promise.reject(parts.missing());
      if (slot.holder === claim) return Promise.resolve();
      // The claim may be in `beside`, when its execution's response arrived before the router reported the
      // pause.
      slot.beside.delete(claim);
      claim.resumed = Promise.withResolvers();
      claim.answeredAtMs = clock.now();
      slot.resuming.push(claim);
      dispatch();
      return claim.resumed.promise;
    },
    condemn() {
      const slot = isLate() ? undefined : slotOf(claim);
      if (!slot) return;
      log.warn({ project, workerId: slot.worker.id }, "worker condemned: it did not end a run");
      slot.state = retired(slot.state);
      // The pool notices the end of the worker like the death of any other worker, and replaces it.
      slot.worker.stop().catch((error: unknown) => log.error({ project, err: error }, "worker did not stop"));
    },
    release() {
      if (!isLate()) release(claim);
    },
    abandon(pausedGraceMs = 0) {
      if (isLate()) return;
      const slot = slotOf(claim);
      if (!slot) return release(claim);
      const graceMs = isPausedOn(slot, claim) ? Math.max(ATTACH_GRACE_MS, pausedGraceMs) : ATTACH_GRACE_MS;
      log.warn({ project, executionId: claim.executionId }, "lease broken; its worker is kept for a while");
      claim.keepOn = clock.after(graceMs, () => release(claim));
    },
  };
}
