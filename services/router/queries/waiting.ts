import { asAirlockError, hasCode } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import { type Waiting, WaitingKind } from "#proto/execution.ts";
import type { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import type { Dependency } from "#proto/readiness.ts";
import type { Execution } from "../execution.ts";
import type { Storage } from "../storage/storage.ts";

// How long the pool-manager may take to answer. A poll for a pending execution waits for this answer, even
// when the caller asked for no wait.
const TIMEOUT_MS = 1_000;

/**
 * Describes what a pending execution waits for: a worker, earlier executions, disk space or a service.
 * Resolves to undefined when the execution is not pending. Never rejects.
 */
export type AskWaiting = (execution: Execution) => Promise<Waiting | undefined>;

/**
 * Makes the function that describes waits. It asks the pool-manager, which knows the queues and workers. Only
 * a lack of disk space is known to the router itself.
 */
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
      // Queue position 0 here means that a worker is free. The execution may then wait for the sanitizer,
      // because a script does not start while its output could not be redacted.
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
