/**
 * The state of a pool, which says how many workers it is to have: down → up → draining → down. `acquire` and
 * `up` lead back from draining to up. Any state → closing, which is final: the pool-manager is stopping.
 */
export type PoolState =
  | { readonly kind: "down" }
  | Staffed
  /**
   * The pool finishes its runs and its queue, and is down once the queue is empty. `was`: the state before,
   * which comes back when an execution arrives.
   */
  | { readonly kind: "draining"; readonly was: Staffed }
  | { readonly kind: "closing" };

/**
 * `keepsAdopted`: workers of an earlier pool-manager are kept beyond `replicas`, because that pool-manager
 * may have been asked for more than the project file says. The next `up` or `resize` ends that. `replicas` is
 * 0 only while such workers are kept.
 */
type Staffed = { readonly kind: "up"; readonly replicas: number; readonly keepsAdopted: boolean };

export const DOWN: PoolState = { kind: "down" };
export const CLOSING: PoolState = { kind: "closing" };

/** The state after a request for `replicas` workers. 0 takes the pool down at once. */
export function asked(state: PoolState, replicas: number): PoolState {
  if (state.kind === "closing") return state;
  return replicas === 0 ? DOWN : { kind: "up", replicas, keepsAdopted: false };
}

/**
 * The state after an execution arrived: a pool that is down goes up with `defaultReplicas`, and one that
 * drains goes on as before.
 */
export function wanted(state: PoolState, defaultReplicas: number): PoolState {
  const before = state.kind === "draining" ? state.was : state;
  const hasNone = before.kind === "down" || (before.kind === "up" && before.replicas === 0);
  return hasNone ? asked(before, defaultReplicas) : before;
}

/**
 * The state after a worker of an earlier pool-manager was taken over, for a pool that is to have `replicas`.
 */
export function adopted(state: PoolState, replicas: number): PoolState {
  if (state.kind === "closing") return state;
  const before = state.kind === "up" ? state.replicas : state.kind === "draining" ? state.was.replicas : 0;
  return { kind: "up", replicas: Math.max(before, replicas), keepsAdopted: true };
}

/** The state of a pool that is to finish its runs and its queue. */
export function drained(state: PoolState): PoolState {
  return state.kind === "up" ? { kind: "draining", was: state } : state;
}

/**
 * The state after the autoscaler or a changed project file gave the pool another number of workers; 0 drains
 * it. A pool that is not up stays as it is.
 */
export function resized(state: PoolState, replicas: number): PoolState {
  if (state.kind !== "up" || state.replicas === 0) return state;
  return replicas === 0 ? drained(state) : asked(state, replicas);
}

/**
 * How many workers the pool is to have. `adoptedWorkers` is the number of taken-over workers that still live.
 */
export function desiredOf(state: PoolState, adoptedWorkers: number): number {
  const staffed = state.kind === "draining" ? state.was : state;
  if (staffed.kind !== "up") return 0;
  return staffed.keepsAdopted ? Math.max(staffed.replicas, adoptedWorkers) : staffed.replicas;
}
