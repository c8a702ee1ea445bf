import { AirlockError, asAirlockError, hasCode } from "#common/errors.ts";
import type { CircuitRules } from "#common/resilience/circuit-breaker.ts";

/**
 * The circuit breaker for the starts of one project's workers. After five failures in a row, executions get
 * the reason at once and do not each wait for a start that fails like the last ones. An unreachable vault
 * does not count as a failure, because the pool waits for it.
 */
export const START_CIRCUIT: CircuitRules = {
  failuresToOpen: 5,
  openMs: 1_000,
  longestOpenMs: 10_000,
  isFailure: (error) => hasCode(error, "start_failed"),
  refusal: (last, retryInMs) =>
    new AirlockError(
      "start_failed",
      `${asAirlockError(last).message} The last starts failed like this; the next one is tried in ${Math.ceil(retryInMs / 1_000)} s.`,
    ),
};
