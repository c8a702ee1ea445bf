/**
 * What a worker does for its pool: serving ⇄ finishing → giving_up, each of these → paused and → retired;
 * paused → serving or finishing. A retired worker stays retired. A worker's place is its right to be one of
 * AIRLOCK_MAX_WORKERS.
 */
export type SlotState =
  /** The worker takes new executions. */
  | { readonly kind: "serving" }
  /** The pool has more workers than it needs. The worker finishes its executions, and then stops. */
  | { readonly kind: "finishing" }
  /**
   * The worker gives its place (as one of AIRLOCK_MAX_WORKERS) to another project as soon as nothing runs on
   * it.
   */
  | { readonly kind: "giving_up" }
  /** The worker has had no place since `sinceMs`, and is kept for its paused executions alone. */
  | { readonly kind: "paused"; readonly sinceMs: number }
  /**
   * The worker is to be replaced and takes no new execution any more. `pausedSinceMs`: when it lost its
   * place, after which it is kept for its paused executions alone; undefined while it has a place.
   */
  | { readonly kind: "retired"; readonly pausedSinceMs: number | undefined };

export const SERVING: SlotState = { kind: "serving" };
const FINISHING: SlotState = { kind: "finishing" };
const GIVING_UP: SlotState = { kind: "giving_up" };

/** The state of a worker that the pool does not need any more. */
export function finished(state: SlotState): SlotState {
  return state.kind === "serving" ? FINISHING : state;
}

/** The state of a worker when its pool lacks workers: a worker that finishes serves again. */
export function needed(state: SlotState): SlotState {
  return state.kind === "finishing" ? SERVING : state;
}

/**
 * The state of a worker that is to give its place to another project as soon as nothing runs on it. A worker that
 * is neither serving nor finishing stays as it is.
 */
export function givenUp(state: SlotState): SlotState {
  return state.kind === "serving" || state.kind === "finishing" ? GIVING_UP : state;
}

/** The state of a worker that loses its place now. A worker without a place stays as it is. */
export function paused(state: SlotState, nowMs: number): SlotState {
  if (!hasPlace(state)) return state;
  return state.kind === "retired"
    ? { kind: "retired", pausedSinceMs: nowMs }
    : { kind: "paused", sinceMs: nowMs };
}

/** The state of a worker that gets a place again. `isNeeded`: whether its pool lacks workers. */
export function placed(state: SlotState, isNeeded: boolean): SlotState {
  switch (state.kind) {
    case "paused":
      return isNeeded ? SERVING : FINISHING;
    case "retired":
      return { kind: "retired", pausedSinceMs: undefined };
    default:
      return state;
  }
}

/** The state of a worker that is to be replaced. */
export function retired(state: SlotState): SlotState {
  return { kind: "retired", pausedSinceMs: pausedSinceMs(state) };
}

/** When the worker lost its place; undefined while it has one. */
export function pausedSinceMs(state: SlotState): number | undefined {
  if (state.kind === "paused") return state.sinceMs;
  return state.kind === "retired" ? state.pausedSinceMs : undefined;
}

/** Whether the worker has a place: counts as one of the AIRLOCK_MAX_WORKERS. */
export function hasPlace(state: SlotState): boolean {
  return pausedSinceMs(state) === undefined;
}
