import type { AirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { ATTACH_GRACE_MS } from "#common/service/grace-periods.ts";
import type { Log } from "#common/service/log.ts";
import type { Claim, Lease } from "./lease.ts";
import { isPausedOn, parkClaim, type Slot } from "./slot.ts";

/** What a lease needs of the pool that its claim is in. */
export type LeaseGround = {
  readonly project: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The worker that the claim lives on. */
  slotOf(claim: Claim): Slot | undefined;
  /** What is said of a worker that is not here. */
  missing(): AirlockError;
  position(claim: Claim): number;
  /** A worker may be free for somebody else. */
  dispatch(): void;
  /** Takes the claim out of the pool. */
  release(claim: Claim): void;
};

/** A lease on the claim, which takes it from whoever had one before. */
export function takeLease(claim: Claim, ground: LeaseGround): Lease {
  const { project, clock, log, slotOf, dispatch, release } = ground;
  claim.keepOn?.();
  claim.keepOn = undefined;
  const holder = ++claim.holders;
  // Another lease has taken it over; what this one's caller says comes too late.
  const isLate = () => claim.holders !== holder;
  return {
    granted: claim.granted.promise,
    lost: claim.lost.promise,
    position: () => ground.position(claim),
    park() {
      if (isLate()) return;
      const slot = slotOf(claim);
      if (slot) parkClaim(slot, claim);
      dispatch();
    },
    resume() {
      const slot = isLate() ? undefined : slotOf(claim);
      if (!slot) return Promise.reject(ground.missing());
      if (slot.holder === claim) return Promise.resolve();
      // A paused one that has come back and was answered before it could say so.
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
      slot.serving = false;
      slot.isRetired = true;
      // Its end is noticed like any other worker's death.
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
