import { asAirlockError, hasCode } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import { type Waiting, WaitingKind } from "#proto/execution.ts";
import type { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import type { Dependency } from "#proto/readiness.ts";
import type { Execution } from "../execution.ts";
import type { Storage } from "../storage/storage.ts";

// A poll without `wait` may take longer than this.
const TIMEOUT_MS = 1_000;

/** Describes what an execution waits for; undefined when it is not pending. Does not reject. */
export type AskWaiting = (execution: Execution) => Promise<Waiting | undefined>;

/** Asks the pool-manager, which knows the queues and pools. A full storage is known without asking. */
export function createAskWaiting(
  poolManager: PoolManagerServiceClient,
  storage: Pick<Storage, "mayStart">,
  checkSanitizer: () => Promise<Dependency>,
): AskWaiting {
  return async ({ executionId, project, state }) => {
    if (state.status !== "pending") return undefined;
    if (!storage.mayStart(project)) {
      const detail =
        "The execution waits for room to store what it would write. It starts when executions that run or are paused have ended: respond to those that wait for a response, or cancel them.";
      return { kind: WaitingKind.QUEUE, queuePosition: 0, detail };
    }
    const request = { project, executionId };
    try {
      const { waiting } = await callUnary(poolManager, poolManager.getWaiting, request, "pool-manager", {
        timeoutMs: TIMEOUT_MS,
      });
      // A worker is free, and the script waits for the sanitizer, because its output could not be redacted.
      if (waiting?.kind !== WaitingKind.QUEUE || waiting.queuePosition > 0) return waiting;
      const { ready, detail } = await checkSanitizer();
      return ready ? waiting : { kind: WaitingKind.SERVICE, queuePosition: 0, detail };
    } catch (error) {
      const isAway = hasCode(error, "unavailable") || hasCode(error, "deadline_exceeded");
      const detail = isAway
        ? "The pool-manager, which has the workers, does not answer; the execution starts when it does."
        : asAirlockError(error).message;
      return { kind: WaitingKind.SERVICE, queuePosition: 0, detail };
    }
  };
}
