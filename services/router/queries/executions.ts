import { LARGE_BYTES } from "#common/event-loop/background-thread.ts";
import { Turn } from "#common/event-loop/turn.ts";
import { isTerminal } from "#common/execution-names.ts";
import {
  alreadyEnded,
  executionNotFound,
  llmRequestMismatch,
  notAwaitingLlm,
} from "#common/execution-refusals.ts";
import { isInScope, onAll, type Scope, type Submitter, scopeOf } from "#common/identity/ownership.ts";
import { permissionDenied } from "#common/identity/permission-denied.ts";
import type { Principal } from "#common/identity/principal.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Drain } from "#common/service/drain.ts";
import type { Log } from "#common/service/log.ts";
import { type Execution, failure, type Redaction } from "../execution.ts";
import { logEnded } from "../run/log-ended.ts";
import type { StopElsewhere } from "../run/stop-elsewhere.ts";
import { readWhole } from "../store/reading.ts";
import type { ScopedStore } from "../store/scoped-store.ts";
import type { ExecutionStore, Outline, OutputFrom, Reading } from "../store/store.ts";
import { watchExecution } from "./watch.ts";

const CANCEL_WAIT_MS = 5_000;

/**
 * The operations of principals on accepted executions. Every refusal is an AirlockError whose message tells an
 * agent what to do. An execution that the principal may not see is refused like an unknown one, so that no
 * answer says whether it exists.
 */
export type Executions = {
  /**
   * Waits until the script asks its agent or the execution has ended, at most `waitMs` milliseconds; less
   * when `signal` aborts or the router is stopping. Resolves to the execution's outline: from its bytes the
   * caller of this method decides whether to read the whole execution.
   */
  awaitAttention(
    principal: Principal,
    executionId: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Outline>;
  /** How many bytes the execution stores. */
  bytesOf(principal: Principal, executionId: string): Promise<number>;
  /**
   * Reads the whole execution. `bytes`: how many bytes the execution stores. A large execution is read in
   * pieces, and the router does other work between them.
   */
  get(principal: Principal, executionId: string, bytes: number): Promise<Execution>;
  /**
   * Reads a large execution in pieces; the router does other work between them. Rejects when the execution is
   * deleted meanwhile. `from`: the output that the caller has already, which is left out; undefined: all
   * output is read.
   */
  read(principal: Principal, executionId: string, signal: AbortSignal, from?: OutputFrom): Promise<Reading>;
  /**
   * Stores the agent's response, so that the script continues. An undefined `llmRequestId` stands for the
   * open llm request. Rejects when the execution does not wait for this llm request, and with
   * `permission_denied` when the principal may only see the execution.
   */
  respond(
    principal: Principal,
    executionId: string,
    llmRequestId: string | undefined,
    response: string,
  ): Promise<void>;
  /**
   * Ends the execution as cancelled, and resolves when it has ended. Rejects when it had ended before, and with
   * `permission_denied` when the principal may only see the execution.
   */
  cancel(principal: Principal, executionId: string, signal: AbortSignal): Promise<void>;
  /** How often each secret was redacted from the texts of the execution. Shown to operators only. */
  redactions(principal: Principal, executionId: string): Promise<Redaction[]>;
};

/**
 * Makes the operations. When `drain` begins, long polls are answered with the present state of the execution,
 * so that clients continue to wait at another router.
 */
export function createExecutions(
  store: ScopedStore & Pick<ExecutionStore, "forceFinish" | "onChange">,
  underWay: ReadonlyMap<string, Submitter>,
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
  const seenBy = (principal: Principal) => scopeOf(principal, "execution.read");
  const bytesIn = async (scope: Scope, executionId: string) =>
    (await known(store.getOutline(executionId, scope))).bytes;
  /**
   * Reads the execution without its result, memory updates and output, which may be large. Throws
   * `permission_denied` when the principal sees the execution and may not change it with this permission.
   */
  const find = async (
    principal: Principal,
    executionId: string,
    permission: "execution.respond" | "execution.cancel",
  ) => {
    const { execution, submitter } = await known(store.read(executionId, undefined, seenBy(principal)));
    if (!isInScope(scopeOf(principal, permission), submitter))
      throw permissionDenied(principal, onAll(permission));
    return execution;
  };

  const watched = (scope: Scope) => ({
    onChange: store.onChange,
    getOutline: (executionId: string) => store.getOutline(executionId, scope),
  });

  return {
    bytesOf: (principal, executionId) => bytesIn(seenBy(principal), executionId),

    async get(principal, executionId, bytes) {
      const scope = seenBy(principal);
      if (bytes <= LARGE_BYTES) return await known(store.get(executionId, scope));
      const execution = await readWhole(await known(store.read(executionId, undefined, scope)));
      await bytesIn(scope, executionId);
      return execution;
    },

    async read(principal, executionId, signal, from) {
      const scope = seenBy(principal);
      const { pieces, ...head } = await known(store.read(executionId, from, scope));
      return {
        ...head,
        async *pieces() {
          const turn = new Turn();
          for await (const piece of pieces()) {
            yield piece;
            if (turn.isOver) await turn.next(signal);
          }
          // This check rejects when the execution was deleted meanwhile, because its remaining pieces are
          // then gone and the caller would get incomplete texts.
          await bytesIn(scope, executionId);
        },
      };
    },

    async awaitAttention(principal, executionId, waitMs, signal) {
      const settled = ({ status }: Outline) => status !== "pending" && status !== "running";
      const hold = new AbortController();
      const end = () => hold.abort();
      signal.addEventListener("abort", end, { once: true });
      const stopListening = drain.onBegin(end);
      if (signal.aborted || drain.begun) end();
      const scope = seenBy(principal);
      const submitter = underWay.get(executionId);
      const isUnderWay = submitter !== undefined && isInScope(scope, submitter);
      const limits = { waitMs, signal: hold.signal, isUnderWay };
      const outline = await watchExecution(watched(scope), executionId, settled, clock, limits).finally(
        () => {
          stopListening();
          signal.removeEventListener("abort", end);
        },
      );
      if (!outline) throw executionNotFound();
      return outline;
    },

    async respond(principal, executionId, llmRequestId, response) {
      const scope = scopeOf(principal, "execution.respond");
      const isAnswered = await store.respond(executionId, llmRequestId, response, scope);
      const { project, state } = await find(principal, executionId, "execution.respond");
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

    async cancel(principal, executionId, signal) {
      const scope = scopeOf(principal, "execution.cancel");
      if (!(await store.requestCancel(executionId, scope))) {
        const { state } = await find(principal, executionId, "execution.cancel");
        throw alreadyEnded(state.status);
      }
      const ended = ({ status }: Outline) => isTerminal(status);
      const limits = { waitMs: CANCEL_WAIT_MS, signal };
      const outline = await watchExecution(watched(scope), executionId, ended, clock, limits);
      if (outline && ended(outline)) return;
      // The script is stopped before its ending is recorded, so that no caller sees the ending of a script
      // that still runs.
      const { project } = await find(principal, executionId, "execution.cancel");
      await stopElsewhere(executionId, project);
      // The router that ran the execution did not end it within 5 s, so this router records the ending. When
      // the other router reports its own ending later, the store refuses that ending.
      const ending = failure("cancelled", "The execution was cancelled.", outline?.executionTimeMs);
      const isEnded = await store.forceFinish(executionId, ending, clock.now());
      if (isEnded) logEnded(log, { executionId, project, ending });
    },

    redactions: (principal, executionId) => known(store.getRedactions(executionId, seenBy(principal))),
  };
}
