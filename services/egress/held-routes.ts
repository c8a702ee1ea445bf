import { callCancelled } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { ATTACH_GRACE_MS } from "#common/service/grace-periods.ts";
import type { OpenRoute, OpenRouteFor } from "./route-opener.ts";

/** The open network routes of this service. One router at a time holds each route. */
export type HeldRoutes = {
  /**
   * Opens the network route of a run, or takes over the route that the execution already has on this worker,
   * so that the script's credentials stay valid. `close` says that the router no longer holds the route. The
   * route itself is closed when its run is over, or when no router takes it over within ATTACH_GRACE_MS.
   */
  readonly hold: OpenRouteFor;
  /** Closes all routes. */
  close(): void;
};

type Held = {
  readonly route: OpenRoute;
  /**
   * The number of times that a router has opened or taken over the route. Only the latest router may close
   * it.
   */
  holders: number;
  /** Whether the worker has said that the run is over. */
  isOver: boolean;
  /**
   * Stops the timer that closes the route when no router takes it over. Does nothing while a router holds the
   * route.
   */
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
      // While the route was being opened, the router may have cancelled its request and repeated it. A run
      // has only one route, so the route that was opened second is closed.
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
