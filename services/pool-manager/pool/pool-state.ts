/**
 * How many workers a pool is to have:
 * down → up → draining → down; `acquire` and `up` lead back from draining to up; any → closing, which is the end.
 */
export type PoolState =
  | { readonly kind: "down" }
  | Staffed
  /** What runs or waits is finished, and nothing waits any more: then the pool is down. */
  | { readonly kind: "draining"; readonly was: Staffed }
  | { readonly kind: "closing" };

/**
 * `keepsAdopted`: workers of an earlier pool-manager are kept beyond `replicas`, because it may have been asked for more than the project's
 * file says. The next request for a number ends that. `replicas` is 0 only while such workers are kept.
 */
type Staffed = { readonly kind: "up"; readonly replicas: number; readonly keepsAdopted: boolean };

export const DOWN: PoolState = { kind: "down" };
export const CLOSING: PoolState = { kind: "closing" };

/** So many workers are asked for; 0 ends the pool at once. */
export function asked(state: PoolState, replicas: number): PoolState {
  if (state.kind === "closing") return state;
  return replicas === 0 ? DOWN : { kind: "up", replicas, keepsAdopted: false };
}

/** An execution came: a pool that is down goes up with `defaultReplicas`, and one that drains goes on as it was. */
export function wanted(state: PoolState, defaultReplicas: number): PoolState {
  const before = state.kind === "draining" ? state.was : state;
  const hasNone = before.kind === "down" || (before.kind === "up" && before.replicas === 0);
  return hasNone ? asked(before, defaultReplicas) : before;
}

/** A worker of an earlier pool-manager is taken over by a pool that is to have `replicas`. */
export function adopted(state: PoolState, replicas: number): PoolState {
  if (state.kind === "closing") return state;
  const before = state.kind === "up" ? state.replicas : state.kind === "draining" ? state.was.replicas : 0;
  return { kind: "up", replicas: Math.max(before, replicas), keepsAdopted: true };
}

/** The pool is to finish what runs or waits. */
export function drained(state: PoolState): PoolState {
  return state.kind === "up" ? { kind: "draining", was: state } : state;
}

/** Another number for a pool that is up; 0 drains it. A pool in any other state stays as it is. */
export function resized(state: PoolState, replicas: number): PoolState {
  if (state.kind !== "up" || state.replicas === 0) return state;
  return replicas === 0 ? drained(state) : asked(state, replicas);
}

/** How many workers the pool is to have, when so many were taken over and live. */
export function desiredOf(state: PoolState, adoptedWorkers: number): number {
  const staffed = state.kind === "draining" ? state.was : state;
  if (staffed.kind !== "up") return 0;
  return staffed.keepsAdopted ? Math.max(staffed.replicas, adoptedWorkers) : staffed.replicas;
}
