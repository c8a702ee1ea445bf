import { callCancelled } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { ATTACH_GRACE_MS } from "#common/service/grace-periods.ts";
import type { OpenRoute, OpenRouteFor } from "./route-opener.ts";

/** The routes of this service, each held by one caller at a time. */
export type HeldRoutes = {
  /**
   * Opens a route, or takes over the one that the execution has on this worker: what its script was given is still good
   * there. `close` lets go of it. It is closed when its run is over, or when nobody takes it over for a while.
   */
  readonly hold: OpenRouteFor;
  /** Closes all. */
  close(): void;
};

type Held = {
  readonly route: OpenRoute;
  /** Counts who has held it: only the last one holds it now. */
  holders: number;
  isOver: boolean;
  stopWaiting: () => void;
};

export function createHeldRoutes(open: OpenRouteFor, clock: Clock): HeldRoutes {
  const held = new Map<string, Held>();

  const end = (key: string, entry: Held) => {
    entry.stopWaiting();
    if (held.get(key) === entry) held.delete(key);
    entry.route.close();
  };

  const heldBy = (key: string, entry: Held): OpenRoute => {
    entry.stopWaiting();
    entry.stopWaiting = () => undefined;
    const holder = ++entry.holders;
    let isHeld = true;
    void entry.route.over.then(() => {
      entry.isOver = true;
      if (!isHeld && entry.holders === holder) end(key, entry);
    });
    return {
      ...entry.route,
      close() {
        if (!isHeld || entry.holders !== holder) return;
        isHeld = false;
        if (entry.isOver) end(key, entry);
        else entry.stopWaiting = clock.after(ATTACH_GRACE_MS, () => end(key, entry));
      },
    };
  };

  return {
    async hold(request, signal) {
      const key = JSON.stringify([request.project, request.executionId, request.workerId]);
      const known = held.get(key);
      if (known) return heldBy(key, known);
      const route = await open(request, signal);
      // Whoever asked may have given up and asked again meanwhile, and a run has one route.
      const other = held.get(key);
      if (signal.aborted || other) route.close();
      if (signal.aborted) throw callCancelled();
      if (other) return heldBy(key, other);
      const entry: Held = { route, holders: 0, isOver: false, stopWaiting: () => undefined };
      held.set(key, entry);
      return heldBy(key, entry);
    },
    close() {
      for (const [key, entry] of held) end(key, entry);
    },
  };
}
