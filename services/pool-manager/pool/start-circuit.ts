import { AirlockError, asAirlockError, hasCode } from "#common/errors.ts";
import type { CircuitRules } from "#common/resilience/circuit-breaker.ts";

/**
 * For the starts of one project's workers: once some have failed in a row, executions hear the reason at once instead of
 * each waiting for a start that fails as the last ones did. A vault that is away is no such failure, it is waited for.
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
