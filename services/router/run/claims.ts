import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { ExecutionStore } from "../store/store.ts";
import type { Dispatcher } from "./dispatcher.ts";

const LOOK_EVERY_MS = 3_000;
// The most executions that one claim takes, so that routers that claim at the same time share the executions.
const BATCH = 50;

/**
 * Claims executions that no router owns, every 3 s and whenever the store reports some, and runs them. A
 * router owns the submissions that it accepts without a claim, so claims find executions that other routers
 * released or left behind when they died. The same look starts submissions of this router whose commit
 * succeeded although the database's reply was lost.
 */
export type Claims = {
  /**
   * Claims every pending or started execution that has no router, dispatches them, and then goes on claiming
   * every 3 s. Rejects when the first claim fails.
   */
  takeUp(): Promise<void>;
  /** Stops claiming. Resolves when no claim is under way. */
  stop(): Promise<void>;
};

export function startClaiming(store: ExecutionStore, dispatcher: Dispatcher, clock: Clock, log: Log): Claims {
  let stopped = false;
  let again = false;
  let looking: Promise<void> | undefined;
  let stopTimer: () => void = () => undefined;

  const claim = async () => {
    for (;;) {
      const claims = await store.claimPending(BATCH);
      for (const { executionId, project } of claims) dispatcher.dispatch(executionId, project);
      if (claims.length < BATCH || stopped) return;
    }
  };
  const claimOrphaned = async () => {
    for (;;) {
      const found = await store.claimOrphaned(BATCH);
      for (const orphaned of found) {
        const { executionId, project } = orphaned;
        log.warn({ executionId, project, epoch: orphaned.epoch }, "taking over an execution");
        dispatcher.takeOver(orphaned);
      }
      if (found.length < BATCH || stopped) return;
    }
  };
  const look = async () => {
    await claim();
    await claimOrphaned();
    for (const { executionId, project, hasStarted } of await store.listOwn()) {
      if (!hasStarted) dispatcher.dispatch(executionId, project);
      else if (!dispatcher.has(executionId)) await store.release(executionId);
    }
  };
  /**
   * Starts a claim, unless one is under way. In that case another claim follows, because the one under way
   * may miss new executions.
   */
  const lookSoon = () => {
    if (stopped) return;
    again = looking !== undefined;
    looking ??= look()
      .catch((error: unknown) => log.warn({ err: error }, "pending executions not claimed"))
      .finally(() => {
        looking = undefined;
        if (again) lookSoon();
      });
  };
  const tick = () => {
    lookSoon();
    stopTimer = clock.after(LOOK_EVERY_MS, tick);
  };
  const stopListening = store.onClaimable(lookSoon);
  return {
    async takeUp() {
      await look();
      tick();
    },
    async stop() {
      stopped = true;
      stopTimer();
      stopListening();
      await looking;
    },
  };
}
