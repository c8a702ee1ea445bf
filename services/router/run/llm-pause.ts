import { asAirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { LlmRequest } from "../execution.ts";
import type { LeaseSession } from "../peers/lease.ts";
import type { ExecutionStore } from "../store/store.ts";
import { awaitStore } from "./await-store.ts";
import type { Interruption } from "./interruption.ts";

/**
 * Pauses a run until the agent responds to its llm request: stores the llm request, parks the lease, and
 * resumes the lease when the response is stored. Resolves to the response. Interrupts the run as llm_timeout
 * when `llmTimeoutMs` milliseconds pass without a response.
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
  // This handler does nothing: `answered` may reject before it is awaited, and an unhandled rejection would
  // end the process.
  answered.promise.catch(() => undefined);
  const look = () => {
    awaitStore(() => store.getResponse(executionId, request.id), interruption, clock).then(
      (response) => response !== undefined && answered.resolve(response),
      answered.reject,
    );
  };
  const stopListening = store.onChange(executionId, (change) => {
    if (change === undefined || change.kind === "answered") look();
  });
  const stopTimer = clock.after(run.llmTimeoutMs, () =>
    interruption.interrupt(
      "llm_timeout",
      `llm.complete received no response within ${run.llmTimeoutMs / 1_000} seconds. Respond sooner, or ask the operator for a longer llm_timeout.`,
    ),
  );
  let isPaused = true;
  // A worker that is lost during the pause interrupts the run. The error text comes from the lease, because
  // only the pool-manager knows why the worker was lost, for example that another project needed its memory.
  run.lease.lost.catch((error: unknown) => {
    const { message } = asAirlockError(error);
    const advice = "Part of the script may have run. Check for side effects, then submit it again.";
    if (isPaused) interruption.interrupt("worker_lost", `${message} ${advice}`);
  });
  try {
    const open = () => store.markAwaiting(executionId, request, run.executionTimeMs);
    const isNew = await awaitStore(open, interruption, clock);
    // `isNew` is false when the llm request was stored already, before an earlier connection broke. Its
    // response may then be stored too. No change event would come for that response, so the store is read
    // now.
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
