import { asAirlockError, hasCode } from "../common/errors.ts";
import { type Waiting, WaitingKind } from "../common/gen/airlock/v1/execution.ts";
import type { PoolManagerServiceClient } from "../common/gen/airlock/v1/pool_manager.ts";
import { callUnary } from "../common/grpc-client.ts";
import type { Execution } from "./execution.ts";

// Less than a poll without `wait` may take.
const TIMEOUT_MS = 1_000;

/** What an execution waits for; undefined when it is not pending. Does not reject. */
export type AskWaiting = (execution: Execution) => Promise<Waiting | undefined>;

/** Asks the pool-manager, which has the queues and knows what its pools are busy with. */
export function createAskWaiting(poolManager: PoolManagerServiceClient): AskWaiting {
  return async ({ executionId, project, state }) => {
    if (state.status !== "pending") return undefined;
    const request = { project, executionId };
    try {
      const { waiting } = await callUnary(poolManager, poolManager.getWaiting, request, "pool-manager", {
        timeoutMs: TIMEOUT_MS,
      });
      return waiting;
    } catch (error) {
      const isAway = hasCode(error, "unavailable") || hasCode(error, "deadline_exceeded");
      const detail = isAway
        ? "The pool-manager, which has the workers, does not answer; the execution starts when it does."
        : asAirlockError(error).message;
      return { kind: WaitingKind.SERVICE, queuePosition: 0, detail };
    }
  };
}
