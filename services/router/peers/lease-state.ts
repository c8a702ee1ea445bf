import { AirlockError } from "#common/errors.ts";
import type { LeaseRequest, LeaseResponse } from "#proto/pool_manager.ts";

export type LeaseEvent = NonNullable<LeaseResponse["event"]>;
export type LeaseAction = NonNullable<LeaseRequest["action"]>;
type Settled = PromiseWithResolvers<void>;

/**
 * A granted worker: it has its slot, has given it back, or waits for the pool-manager's answer in between.
 */
type Placed =
  | { readonly kind: "held" }
  | { readonly kind: "parking"; readonly done: Settled }
  | { readonly kind: "parked" }
  | { readonly kind: "resuming"; readonly done: Settled };

/**
 * `condemned`: the worker does not obey and is to be replaced; `heard` resolves when the pool-manager has ended the
 * lease for it.
 */
export type Holding =
  | Placed
  | { readonly kind: "condemned"; readonly heard: Settled; readonly before: Placed };

/**
 * A lease as the router sees it:
 * waiting → held → parking → parked → resuming → held; each of these four → condemned;
 * all of these but waiting → recovering, and from there back; any → over.
 */
export type LeaseState =
  | { readonly kind: "waiting" }
  | Holding
  /**
   * The stream broke, and a new one asks for the worker. `goal`: what the lease is to be when the worker is there
   * again.
   */
  | { readonly kind: "recovering"; readonly goal: Holding }
  /** `lost`: why the worker cannot be had any more; undefined when the router gave it back or left it. */
  | { readonly kind: "over"; readonly lost: unknown };

export const WAITING: LeaseState = { kind: "waiting" };
export const HELD: Placed = { kind: "held" };
const PARKED: Placed = { kind: "parked" };

/** The state after the pool-manager has granted the worker. Only a waiting lease changes. */
export function granted(state: LeaseState): LeaseState {
  return state.kind === "waiting" ? HELD : state;
}

/**
 * The router asks to park or to resume. `done` settles when the pool-manager has answered. Throws the reason
 * when the worker is lost, and throws when no worker was granted.
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
 * The pool-manager answered; the request of `state` is done. Throws when the answer is to another request than the
 * router's.
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

/** The stream broke. The router's unanswered request is sent again later. */
export function broken(state: LeaseState): LeaseState {
  const isHolding = state.kind !== "waiting" && state.kind !== "recovering" && state.kind !== "over";
  return isHolding ? { kind: "recovering", goal: state } : state;
}

/**
 * Whether a worker that is granted again must first be parked, because a new grant always comes with a slot.
 */
export function isParkedFirst({ kind }: Holding): boolean {
  return kind === "parked" || kind === "resuming";
}

/** The request that the state waits to have answered; undefined when it waits for none. */
export function actionOf({ kind }: LeaseState): LeaseAction | undefined {
  if (kind === "parking") return { $case: "park", value: {} };
  if (kind === "condemned") return { $case: "condemn", value: {} };
  return kind === "resuming" ? { $case: "resume", value: {} } : undefined;
}

/**
 * The worker does not obey. The same state when there is no worker to condemn: it is not granted yet, or the lease is
 * over.
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
 * The worker cannot be had any more: requests that wait are refused with the reason, and a condemnation has been
 * heard.
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
