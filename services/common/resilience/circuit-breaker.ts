import type { Clock } from "./clock.ts";

/** What it counts, and what it does then. */
export type CircuitRules = {
  /** So many failures in a row open it. */
  readonly failuresToOpen: number;
  /** It is open so long the first time, and twice as long each time that the probe fails, up to the longest. */
  readonly openMs: number;
  readonly longestOpenMs: number;
  /** Whether this rejection says that the other side is not there; every other answer shows that it is. */
  readonly isFailure: (error: unknown) => boolean;
  /** What callers get instead of an attempt; `last` is the failure that opened it. */
  readonly refusal: (last: unknown, retryInMs: number) => Error;
};

/** Each state has only what it needs. */
export type CircuitState =
  | { readonly kind: "closed"; readonly failures: number }
  | { readonly kind: "open"; readonly untilMs: number; readonly openMs: number; readonly last: unknown }
  | { readonly kind: "half_open"; readonly openMs: number; readonly last: unknown };

export type CircuitEvents = {
  readonly onCall: (outcome: "succeeded" | "failed" | "refused") => void;
  readonly onState: (state: CircuitState) => void;
};

/**
 * Spares callers the wait for somebody who is not there: after some failures in a row it refuses at once, and from time to
 * time lets one call through to see. It never repeats a call.
 */
export type CircuitBreaker = {
  /** Settles as `work` does, which needs a deadline of its own; rejects with the refusal while the circuit is open. */
  run<T>(work: () => Promise<T>): Promise<T>;
  state(): CircuitState;
  /** Somebody says that it works again. */
  close(): void;
};

export function createCircuitBreaker(
  rules: CircuitRules,
  clock: Clock,
  { onCall, onState }: CircuitEvents,
): CircuitBreaker {
  let state: CircuitState = { kind: "closed", failures: 0 };
  // Counts the changes from one kind to another: a call that began before the last one says nothing of now.
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
  /** The refusal, if there is one; otherwise the caller may go, perhaps as the probe. */
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
