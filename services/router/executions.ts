import type { Clock } from "../common/clock.ts";
import type { Drain } from "../common/drain.ts";
import { AirlockError } from "../common/errors.ts";
import { isTerminal } from "../common/execution-names.ts";
import type { Log } from "../common/log.ts";
import { type Execution, failure, type Redaction } from "./execution.ts";
import { logEnded } from "./log-ended.ts";
import type { ExecutionStore, Outline } from "./store/store.ts";
import { watchExecution } from "./watch.ts";

const CANCEL_WAIT_MS = 5_000;

/** What callers can do with executions that were accepted. Every refusal is an AirlockError written for an agent. */
export type Executions = {
  /** Resolves when the execution is neither pending nor running, or the time is over: to the bytes that it stores. */
  awaitAttention(executionId: string, waitMs: number, signal: AbortSignal): Promise<number>;
  get(executionId: string): Promise<Execution>;
  respond(executionId: string, llmRequestId: string | undefined, response: string): Promise<Execution>;
  cancel(executionId: string, signal: AbortSignal): Promise<Execution>;
  /** For operators. */
  redactions(executionId: string): Promise<Redaction[]>;
};

/** Whoever waits for an execution is answered with what there is when `drain` begins, and waits on at another router. */
export function createExecutions(store: ExecutionStore, drain: Drain, clock: Clock, log: Log): Executions {
  const find = async (executionId: string): Promise<Execution> => {
    const execution = await store.get(executionId);
    if (!execution) throw unknownExecution();
    return execution;
  };

  return {
    get: find,

    async awaitAttention(executionId, waitMs, signal) {
      const settled = ({ status }: Outline) => status !== "pending" && status !== "running";
      const hold = new AbortController();
      const end = () => hold.abort();
      signal.addEventListener("abort", end, { once: true });
      const stopListening = drain.onBegin(end);
      if (signal.aborted || drain.begun) end();
      const limits = { waitMs, signal: hold.signal };
      const outline = await watchExecution(store, executionId, settled, clock, limits).finally(() => {
        stopListening();
        signal.removeEventListener("abort", end);
      });
      if (!outline) throw unknownExecution();
      return outline.bytes;
    },

    async respond(executionId, llmRequestId, response) {
      const isAnswered = await store.answer(executionId, llmRequestId, response);
      const execution = await find(executionId);
      const { project, state } = execution;
      if (isAnswered) {
        log.info({ executionId, project, llmRequestId }, "execution answered");
        return execution;
      }
      if (
        state.status === "awaiting_llm" &&
        llmRequestId !== undefined &&
        state.question.id !== llmRequestId
      ) {
        throw new AirlockError(
          "llm_request_mismatch",
          `The open question is "${state.question.id}", not the one this answer names. Read llm_request again and answer that.`,
        );
      }
      throw new AirlockError(
        "not_awaiting_llm",
        `The execution's status is ${state.status}; it takes an answer only while that is awaiting_llm. Another answer may have been first: read the execution again.`,
      );
    },

    async cancel(executionId, signal) {
      if (!(await store.requestCancel(executionId))) {
        const { state } = await find(executionId);
        throw new AirlockError(
          "already_ended",
          `The execution has already ended with the status ${state.status}, so there is nothing to cancel. Read the execution for its outcome.`,
        );
      }
      const ended = ({ status }: Outline) => isTerminal(status);
      const limits = { waitMs: CANCEL_WAIT_MS, signal };
      const outline = await watchExecution(store, executionId, ended, clock, limits);
      if (outline && ended(outline)) return await find(executionId);
      // Whoever ran it does not react; what it may still report comes too late.
      const ending = failure("cancelled", "The execution was cancelled.", outline?.executionTimeMs);
      const isEnded = await store.forceFinish(executionId, ending, clock.now());
      const found = await find(executionId);
      if (isEnded) logEnded(log, { executionId, project: found.project, ending });
      return found;
    },

    async redactions(executionId) {
      const redactions = await store.getRedactions(executionId);
      if (!redactions) throw unknownExecution();
      return redactions;
    },
  };
}

export function unknownExecution(): AirlockError {
  return new AirlockError(
    "execution_not_found",
    "There is no execution with this id. It may have been forgotten, after its retention time or to make room for newer ones; submit the script again as a new execution.",
  );
}
