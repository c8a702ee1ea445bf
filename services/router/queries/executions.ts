import { LARGE_BYTES } from "#common/event-loop/background-thread.ts";
import { Turn } from "#common/event-loop/turn.ts";
import { isTerminal } from "#common/execution-names.ts";
import {
  alreadyEnded,
  executionNotFound,
  llmRequestMismatch,
  notAwaitingLlm,
} from "#common/execution-refusals.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Drain } from "#common/service/drain.ts";
import type { Log } from "#common/service/log.ts";
import { type Execution, failure, type Redaction } from "../execution.ts";
import { logEnded } from "../run/log-ended.ts";
import type { StopElsewhere } from "../run/stop-elsewhere.ts";
import { readWhole } from "../store/reading.ts";
import type { ExecutionStore, Outline, OutputFrom, Reading } from "../store/store.ts";
import { watchExecution } from "./watch.ts";

const CANCEL_WAIT_MS = 5_000;

/**
 * The operations of callers on accepted executions. Every refusal is an AirlockError written for an agent.
 */
export type Executions = {
  /**
   * Resolves to the stored bytes of the execution when it is neither pending nor running, or when `waitMs` are over.
   */
  awaitAttention(executionId: string, waitMs: number, signal: AbortSignal): Promise<number>;
  /** How many bytes the execution stores. */
  bytesOf(executionId: string): Promise<number>;
  /** `bytes`: how much the execution stores; large executions are read in turns with other work. */
  get(executionId: string, bytes: number): Promise<Execution>;
  /**
   * Reads a large execution in pieces, in turns with other work. Rejects when the execution is removed meanwhile.
   * `from`: the output that the caller has already, which is left out.
   */
  read(executionId: string, signal: AbortSignal, from?: OutputFrom): Promise<Reading>;
  respond(executionId: string, llmRequestId: string | undefined, response: string): Promise<void>;
  cancel(executionId: string, signal: AbortSignal): Promise<void>;
  /** How often each secret was redacted from the execution, for operators. */
  redactions(executionId: string): Promise<Redaction[]>;
};

/**
 * Answers long polls with the present state when `drain` begins, so that clients continue to wait at another router.
 */
export function createExecutions(
  store: ExecutionStore,
  drain: Drain,
  stopElsewhere: StopElsewhere,
  clock: Clock,
  log: Log,
): Executions {
  const known = async <T>(found: Promise<T | undefined>): Promise<T> => {
    const value = await found;
    if (value === undefined) throw executionNotFound();
    return value;
  };
  const bytesOf = async (executionId: string) => (await known(store.getOutline(executionId))).bytes;
  /** The execution without its result, output and error. */
  const find = async (executionId: string) => (await known(store.read(executionId))).execution;

  return {
    bytesOf,

    async get(executionId, bytes) {
      if (bytes <= LARGE_BYTES) return await known(store.get(executionId));
      const execution = await readWhole(await known(store.read(executionId)));
      await bytesOf(executionId);
      return execution;
    },

    async read(executionId, signal, from) {
      const { execution, skippedBytes, pieces } = await known(store.read(executionId, from));
      return {
        execution,
        skippedBytes,
        async *pieces() {
          const turn = new Turn();
          for await (const piece of pieces()) {
            yield piece;
            if (turn.isOver) await turn.next(signal);
          }
          // Rejects when the execution was removed, because its remaining pieces are gone with it.
          await bytesOf(executionId);
        },
      };
    },

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
      if (!outline) throw executionNotFound();
      return outline.bytes;
    },

    async respond(executionId, llmRequestId, response) {
      const isAnswered = await store.respond(executionId, llmRequestId, response);
      const { project, state } = await find(executionId);
      if (isAnswered) {
        log.info({ executionId, project, llmRequestId }, "execution answered");
        return;
      }
      if (
        state.status === "awaiting_llm" &&
        llmRequestId !== undefined &&
        state.llmRequest.id !== llmRequestId
      ) {
        throw llmRequestMismatch(state.llmRequest.id);
      }
      throw notAwaitingLlm(state.status);
    },

    async cancel(executionId, signal) {
      if (!(await store.requestCancel(executionId))) {
        const { state } = await find(executionId);
        throw alreadyEnded(state.status);
      }
      const ended = ({ status }: Outline) => isTerminal(status);
      const limits = { waitMs: CANCEL_WAIT_MS, signal };
      const outline = await watchExecution(store, executionId, ended, clock, limits);
      if (outline && ended(outline)) return;
      // The script is stopped before its ending is recorded, so that no caller sees the ending of a script
      // that still runs.
      const { project } = await find(executionId);
      await stopElsewhere(executionId, project);
      // The router that ran the execution did not react in time. Its own ending, should it come, is refused by the
      // store.
      const ending = failure("cancelled", "The execution was cancelled.", outline?.executionTimeMs);
      const isEnded = await store.forceFinish(executionId, ending, clock.now());
      if (isEnded) logEnded(log, { executionId, project, ending });
    },

    async redactions(executionId) {
      const redactions = await store.getRedactions(executionId);
      if (!redactions) throw executionNotFound();
      return redactions;
    },
  };
}
