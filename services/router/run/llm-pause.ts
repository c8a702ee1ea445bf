import { asAirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { LlmRequest } from "../execution.ts";
import type { LeaseSession } from "../peers/lease.ts";
import type { ExecutionStore } from "../store/store.ts";
import { awaitStore } from "./await-store.ts";
import type { Interruption } from "./interruption.ts";

/**
 * Pauses an execution until its agent responds: stores the llm request, parks the lease, and resumes it when the
 * response is there. Resolves to the response; interrupts the run when `llmTimeoutMs` pass without one.
 */
export async function awaitResponse(
  request: LlmRequest,
  run: {
    readonly executionId: string;
    readonly project: string;
    readonly executionTimeMs: number;
    readonly llmTimeoutMs: number;
    readonly lease: LeaseSession;
    readonly interruption: Interruption;
  },
  store: ExecutionStore,
  clock: Clock,
  log: Log,
): Promise<string> {
  const { executionId, project, interruption } = run;
  const answered = Promise.withResolvers<string>();
  // The promise may reject before it is awaited, and an unhandled rejection would end the process.
  answered.promise.catch(() => undefined);
  const look = () => {
    awaitStore(() => store.getResponse(executionId, request.id), interruption, clock).then(
      (response) => response !== undefined && answered.resolve(response),
      answered.reject,
    );
  };
  const stopListening = store.onChange(executionId, look);
  const stopTimer = clock.after(run.llmTimeoutMs, () =>
    interruption.interrupt(
      "llm_timeout",
      `llm.complete received no response within ${run.llmTimeoutMs / 1_000} seconds. Respond sooner, or ask the operator for a longer llm_timeout.`,
    ),
  );
  let isPaused = true;
  // The reason comes from the lease, because the worker does not know that another project needed its memory.
  run.lease.lost.catch((error: unknown) => {
    const { message } = asAirlockError(error);
    const advice = "Part of the script may have run. Check for side effects, then submit it again.";
    if (isPaused) interruption.interrupt("worker_lost", `${message} ${advice}`);
  });
  try {
    const open = () => store.markAwaiting(executionId, request, run.executionTimeMs);
    const isNew = await awaitStore(open, interruption, clock);
    // The llm request was stored before the connection broke. Its response may be there already, and then no change
    // event will come.
    if (isNew) log.info({ executionId, project, llmRequestId: request.id }, "execution asks");
    else look();
    await interruption.race(run.lease.park());
    const response = await interruption.race(answered.promise);
    stopTimer();
    await interruption.race(run.lease.resume());
    return response;
  } finally {
    isPaused = false;
    stopListening();
    stopTimer();
  }
}
