import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { failure, NO_OUTPUT } from "./execution.ts";
import type { ExecutionStore } from "./store/store.ts";

const LOOK_EVERY_MS = 3_000;
// Routers that look at the same time share what there is in pieces of this size.
const BATCH = 50;

/**
 * Takes up what no router has, now and whenever there is something. What a router accepts it runs by itself; this is
 * for what others gave back or left behind, and the net below a submission whose answer from the database was lost.
 */
export type Claims = {
  /** Ends what had started when its router went, and dispatches all that is pending and free. */
  takeUp(): Promise<void>;
  /** Takes no more; resolves when nothing is on its way. */
  stop(): Promise<void>;
};

export function startClaims(store: ExecutionStore, dispatcher: Dispatcher, clock: Clock, log: Log): Claims {
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
  const look = async () => {
    await claim();
    for (const { executionId, project } of await store.listClaimed()) {
      dispatcher.dispatch(executionId, project);
    }
  };
  /** One look at a time; whoever asks during one is served by another after it. */
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
      await endLost(store, clock, log);
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

async function endLost(store: ExecutionStore, clock: Clock, log: Log): Promise<void> {
  for (const executionId of await store.listLost()) {
    const ending = (await store.isCancelRequested(executionId))
      ? failure("cancelled", "The execution was cancelled.")
      : failure(
          "worker_lost",
          "Airlock was restarted while the script ran; part of it may have run. Check for side effects, then submit it again.",
        );
    await store.finish(executionId, ending, NO_OUTPUT, clock.now());
    log.warn({ executionId }, "execution lost in a restart");
  }
}
