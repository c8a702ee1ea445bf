import { AirlockError } from "#common/errors.ts";
import type { LeaseRequest, LeaseResponse } from "#proto/pool_manager.ts";

export type LeaseEvent = NonNullable<LeaseResponse["event"]>;
export type LeaseAction = NonNullable<LeaseRequest["action"]>;
type Settled = PromiseWithResolvers<void>;

/**
 * The slot on a granted worker, as the router sees it: held, parked (given back during a pause), or waiting
 * for the pool-manager's answer to a park or resume request. `done` settles with that answer.
 */
type Placed =
  | { readonly kind: "held" }
  | { readonly kind: "parking"; readonly done: Settled }
  | { readonly kind: "parked" }
  | { readonly kind: "resuming"; readonly done: Settled };

/**
 * The slot on a granted worker, or `condemned`: the worker did not end its run, so the pool-manager has to
 * replace it. `heard` resolves when the pool-manager has ended the lease. `before`: the state before the
 * condemnation.
 */
export type Holding =
  | Placed
  | { readonly kind: "condemned"; readonly heard: Settled; readonly before: Placed };

/**
 * The states of a lease as the router sees it:
 * waiting → held → parking → parked → resuming → held; each of these four → condemned;
 * all of these but waiting → recovering, and from there back; any → over.
 */
export type LeaseState =
  | { readonly kind: "waiting" }
  | Holding
  /**
   * The lease's stream to the pool-manager broke, and the router asks for the same worker on a new stream.
   * `goal`: the state that the lease returns to when the worker is granted again.
   */
  | { readonly kind: "recovering"; readonly goal: Holding }
  /**
   * The lease has ended. `lost`: the error that says why the worker is gone; undefined when the router itself
   * ended the lease.
   */
  | { readonly kind: "over"; readonly lost: unknown };

export const WAITING: LeaseState = { kind: "waiting" };
export const HELD: Placed = { kind: "held" };
const PARKED: Placed = { kind: "parked" };

/**
 * The state after the pool-manager has granted the worker: a waiting lease becomes held, and any other state
 * stays.
 */
export function granted(state: LeaseState): LeaseState {
  return state.kind === "waiting" ? HELD : state;
}

/**
 * The state after the router asked to park or to resume the lease. `done` settles when the pool-manager has
 * answered. Throws the reason when the worker is lost, and `internal` when this state does not allow the
 * request.
 */
export function asked(state: LeaseState, kind: "park" | "resume", done: Settled): LeaseState {
  const next: Placed = { kind: kind === "park" ? "parking" : "resuming", done };
  switch (state.kind) {
    case "held":
    case "parked":
      return next;
    case "recovering":
      return { kind: "recovering", goal: asked(state.goal, kind, done) as Holding };
    case "over":
      throw state.lost ?? new AirlockError("internal", "The router has given the lease back.");
    default:
      throw new AirlockError("internal", `A lease that is ${state.kind} cannot ${kind}.`);
  }
}

/**
 * The state after the pool-manager answered the router's park or resume request; resolves the request's
 * `done`. Throws `internal` when the router is not waiting for this answer.
 */
export function answered(state: LeaseState, event: LeaseEvent["$case"]): Holding {
  if (state.kind === "condemned") return { ...state, before: answered(state.before, event) as Placed };
  if (state.kind === "parking" && event === "parked") {
    state.done.resolve();
    return PARKED;
  }
  if (state.kind === "resuming" && event === "resumed") {
    state.done.resolve();
    return HELD;
  }
  throw brokenProtocol();
}

/**
 * The state after the stream to the pool-manager broke: a lease with a worker becomes recovering. A request
 * without an answer is sent again on the new stream.
 */
export function broken(state: LeaseState): LeaseState {
  const isHolding = state.kind !== "waiting" && state.kind !== "recovering" && state.kind !== "over";
  return isHolding ? { kind: "recovering", goal: state } : state;
}

/**
 * Whether the router must first park a worker that is granted again on a new stream. A new grant always comes
 * with a slot, and this run had none before the stream broke.
 */
export function isParkedFirst({ kind }: Holding): boolean {
  return kind === "parked" || kind === "resuming";
}

/** The request to the pool-manager that has no answer yet in this state; undefined when there is none. */
export function actionOf({ kind }: LeaseState): LeaseAction | undefined {
  if (kind === "parking") return { $case: "park", value: {} };
  if (kind === "condemned") return { $case: "condemn", value: {} };
  return kind === "resuming" ? { $case: "resume", value: {} } : undefined;
}

/**
 * The state after the router condemned the worker, because the worker did not end its run. The same state
 * when there is no worker to condemn: none is granted yet, the lease is over, or the worker is condemned
 * already.
 */
export function condemned(state: LeaseState, heard: Settled): LeaseState {
  switch (state.kind) {
    case "waiting":
    case "over":
    case "condemned":
      return state;
    case "recovering":
      return { kind: "recovering", goal: condemned(state.goal, heard) as Holding };
    default:
      return { kind: "condemned", heard, before: state };
  }
}

/**
 * The state after the worker was lost for good. Park and resume requests without an answer are rejected with
 * `lost`, the reason. A condemnation counts as heard, because the worker is gone.
 */
export function lostFor(state: LeaseState, lost: unknown): LeaseState {
  const goal = state.kind === "recovering" ? state.goal : state;
  const placed = goal.kind === "condemned" ? goal.before : goal;
  if (placed.kind === "parking" || placed.kind === "resuming") placed.done.reject(lost);
  if (goal.kind === "condemned") goal.heard.resolve();
  return { kind: "over", lost };
}

export function brokenProtocol(): AirlockError {
  return new AirlockError("internal", "The pool-manager broke the lease protocol.");
}
