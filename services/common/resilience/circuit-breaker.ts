import type { Clock } from "./clock.ts";

/**
 * The rules of a circuit breaker: when it opens, how long it stays open, and which error callers then get.
 */
export type CircuitRules = {
  /** The number of consecutive failures that opens the circuit. */
  readonly failuresToOpen: number;
  /**
   * Milliseconds that the circuit stays open at first. The time doubles each time that the probe fails, up to
   * `longestOpenMs`.
   */
  readonly openMs: number;
  /** The most milliseconds that the circuit stays open before it tries the next probe. */
  readonly longestOpenMs: number;
  /**
   * Whether an error means that the called service cannot be reached. Any other error shows that the service
   * is there.
   */
  readonly isFailure: (error: unknown) => boolean;
  /** Makes the error that callers get while the circuit is open. `last` is the failure that opened it. */
  readonly refusal: (last: unknown, retryInMs: number) => Error;
};

/**
 * The state of a circuit:
 * - closed: calls go through; `failures` counts the failures in a row.
 * - open: calls are refused until `untilMs` by the monotonic clock.
 * - half_open: one call is under way as a probe, all others are refused.
 * `last` is the failure that opened the circuit; `openMs` is the milliseconds that it is open.
 */
export type CircuitState =
  | { readonly kind: "closed"; readonly failures: number }
  | { readonly kind: "open"; readonly untilMs: number; readonly openMs: number; readonly last: unknown }
  | { readonly kind: "half_open"; readonly openMs: number; readonly last: unknown };

export type CircuitEvents = {
  readonly onCall: (outcome: "succeeded" | "failed" | "refused") => void;
  readonly onState: (state: CircuitState) => void;
};

/**
 * Saves callers the wait for a service that cannot be reached. After some consecutive failures the circuit
 * opens: calls are refused at once, and from time to time one call is let through as a probe. A call is never
 * repeated.
 */
export type CircuitBreaker = {
  /**
   * Calls `work`, which needs a deadline of its own, and settles as `work` does. While the circuit is open,
   * rejects with the refusal instead and does not call `work`.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
  state(): CircuitState;
  /**
   * Closes the circuit, so that calls go through again at once. For a caller that has a reason to expect
   * success now, such as a changed project file.
   */
  close(): void;
};

export function createCircuitBreaker(
  rules: CircuitRules,
  clock: Clock,
  { onCall, onState }: CircuitEvents,
): CircuitBreaker {
  let state: CircuitState = { kind: "closed", failures: 0 };
  // Counts the changes of state. The result of a call that began before the last change is ignored, because
  // it says nothing about the present.
  let generation = 0;

  const enter = (next: CircuitState) => {
    generation += 1;
    state = next;
    onState(next);
  };
  const open = (openMs: number, last: unknown) =>
    enter({ kind: "open", untilMs: clock.monotonicMs() + openMs, openMs, last });

  const succeeded = () => {
    if (state.kind === "half_open") enter({ kind: "closed", failures: 0 });
    else state = { kind: "closed", failures: 0 };
  };
  const failed = (error: unknown) => {
    if (state.kind === "half_open") return open(Math.min(state.openMs * 2, rules.longestOpenMs), error);
    const failures = state.kind === "closed" ? state.failures + 1 : 0;
    if (failures >= rules.failuresToOpen) open(rules.openMs, error);
    else state = { kind: "closed", failures };
  };
  /** The error to refuse a call with; undefined when the call may go ahead, perhaps as the probe. */
  const refusal = (): Error | undefined => {
    if (state.kind === "closed") return undefined;
    const { openMs, last } = state;
    const retryInMs = state.kind === "open" ? state.untilMs - clock.monotonicMs() : openMs;
    if (state.kind === "half_open" || retryInMs > 0) return rules.refusal(last, retryInMs);
    enter({ kind: "half_open", openMs, last });
    return undefined;
  };

  return {
    async run(work) {
      const refused = refusal();
      if (refused) {
        onCall("refused");
        throw refused;
      }
      const mine = generation;
      try {
        const result = await work();
        onCall("succeeded");
        if (mine === generation) succeeded();
        return result;
      } catch (error) {
        const isFailure = rules.isFailure(error);
        onCall(isFailure ? "failed" : "succeeded");
        if (mine === generation) (isFailure ? failed : succeeded)(error);
        throw error;
      }
    },
    state: () => state,
    close() {
      if (state.kind === "closed") state = { kind: "closed", failures: 0 };
      else enter({ kind: "closed", failures: 0 });
    },
  };
}
