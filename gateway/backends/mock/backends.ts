import { randomUUID } from "node:crypto";
import { type Status, statusFromProto } from "#common/execution-names.ts";
import { alreadyEnded, llmRequestMismatch, notAwaitingLlm } from "#common/execution-refusals.ts";
import { fingerprintOf } from "#common/idempotency.ts";
import { toSubmission } from "#common/submission/submission.ts";
import { EndReason, type Execution, ExecutionStatus, type Waiting, WaitingKind } from "#proto/execution.ts";
import type { OutputFrom } from "#proto/router.ts";
import type { Backends } from "../backends.ts";
import type { PoolManagerBackend } from "../pool-manager.ts";
import type { RouterBackend } from "../router.ts";
import { createMockAuthority } from "./authority.ts";
import { findMockDeadLetter, listMockDeadLetters } from "./dead-letters.ts";
import { playOf } from "./play.ts";
import { createMockProject, MOCK_PROJECT } from "./project.ts";
import { createMockRefusals } from "./refusals.ts";
import { createMockStore } from "./store.ts";
import { createMockWaits } from "./waits.ts";

const IN_THE_QUEUE: Waiting = {
  kind: WaitingKind.QUEUE,
  queuePosition: 1,
  detail: `The one worker of ${MOCK_PROJECT} is busy; this execution is number 1 in the queue.`,
};

/**
 * An in-memory stand-in for the router and the pool-manager. A script completes at once with its own code as
 * output, unless its comments ask for something else (play.ts). A script that contains `llm.complete(` first
 * waits for a response to each call.
 */
export function createMockBackends(now: () => number = Date.now, newId: () => string = randomUUID): Backends {
  const store = createMockStore();
  const project = createMockProject(() => store.count(ExecutionStatus.AWAITING_LLM));
  const waits = createMockWaits();
  /** Executions that wait for a response, by id: the index of their llm request in the script. */
  const open = new Map<string, number>();
  const end = (execution: Execution, change: Partial<Execution>): Execution =>
    store.update({ ...execution, llmRequest: undefined, endedAtMs: now(), ...change });
  /**
   * Ends the execution with the ending that its script's comments ask for, after the running time that they
   * name.
   */
  const play = (execution: Execution, code: string): Execution => {
    const { runsForMs, ending } = playOf(code);
    const ended = { executionTimeMs: Math.max(runsForMs, 1), ...ending };
    if (runsForMs === 0) return end(execution, ended);
    const running = store.update({ ...execution, status: ExecutionStatus.RUNNING, llmRequest: undefined });
    waits.after(execution.executionId, runsForMs, () => end(running, ended));
    return running;
  };
  /**
   * Pauses the execution with the llm request of this index, or ends the execution when its script has no
   * more llm requests.
   */
  const continueScript = (execution: Execution, code: string, number: number): Execution => {
    const { executionId } = execution;
    const asked = playOf(code).llmRequests[number];
    if (!asked) {
      open.delete(executionId);
      return play(execution, code);
    }
    open.set(executionId, number);
    const llmRequest = { id: newId(), ...asked };
    return store.update({ ...execution, status: ExecutionStatus.AWAITING_LLM, llmRequest });
  };
  /**
   * Stores the execution as pending and starts it after the response to the submission, because a real
   * execution is pending at that moment, too.
   */
  const accept = (execution: Execution, code: string, more: Parameters<typeof store.add>[2]): Execution => {
    if (!project.isUp()) project.up(1);
    const { pendingForMs } = playOf(code);
    store.add({ ...execution, waitingOn: pendingForMs > 0 ? IN_THE_QUEUE : undefined }, code, more);
    waits.after(execution.executionId, pendingForMs, () => {
      continueScript({ ...execution, startedAtMs: now(), executionTimeMs: 0, waitingOn: undefined }, code, 0);
    });
    return execution;
  };
  const refused = createMockRefusals();
  const router: RouterBackend = {
    async submit(request, { principal }) {
      const { idempotencyKey } = request;
      // Each principal has keys of its own, as with the router.
      const key = JSON.stringify([principal.tenant, principal.id, idempotencyKey]);
      const idempotency =
        idempotencyKey === undefined ? undefined : { key, fingerprint: await fingerprintOf(request) };
      const replay = idempotency && store.findReplay(idempotency);
      if (replay) return { ...replay, replayed: true };
      project.check(request.project);
      const { executionId, createdAtMs } = await toSubmission(request, project.view(), newId(), now());
      project.checkHold();
      refused(request.code);
      const execution = accepted(executionId, request.project, createdAtMs);
      return { ...accept(execution, request.code, { idempotency }), replayed: false };
    },
    async getExecution(executionId, waitMs, { signal }, _reserveMemory, outputFrom) {
      const untilMs = performance.now() + waitMs;
      for (;;) {
        const { execution } = store.get(executionId);
        const leftMs = untilMs - performance.now();
        if (!isUnderWay(execution) || leftMs <= 0 || signal.aborted)
          return outputFrom ? withOutputFrom(execution, outputFrom) : execution;
        await waits.until(executionId, leftMs, signal);
      }
    },
    listExecutions: async (request) => store.list(request),
    async respond({ executionId, llmRequestId }) {
      const { execution, code } = store.get(executionId);
      if (!execution.llmRequest) throw notAwaitingLlm(statusOf(execution));
      if (llmRequestId !== undefined && llmRequestId !== execution.llmRequest.id) {
        throw llmRequestMismatch(execution.llmRequest.id);
      }
      return continueScript(execution, code, (open.get(executionId) ?? 0) + 1);
    },
    async cancel(executionId) {
      const { execution } = store.get(executionId);
      if (execution.endedAtMs !== undefined) throw alreadyEnded(statusOf(execution));
      waits.cut(executionId);
      open.delete(executionId);
      return end(execution, {
        status: ExecutionStatus.ERROR,
        endReason: EndReason.CANCELLED,
        error: "The execution was cancelled.",
      });
    },
    async getRedactions(executionId) {
      store.get(executionId);
      return [];
    },
    listDeadLetters: async (request) => listMockDeadLetters(store, request),
    async retryDeadLetter({ executionId, again }) {
      const { execution, code } = findMockDeadLetter(store, executionId, again);
      project.checkHold();
      return accept(accepted(newId(), execution.project, now()), code, { retryOf: executionId });
    },
    listHeldProjects: async () => (project.isHeld() ? [MOCK_PROJECT] : []),
    async holdProject(name) {
      project.check(name);
      project.hold(true);
    },
    async releaseProject(name) {
      project.check(name);
      project.hold(false);
    },
  };
  const poolManager: PoolManagerBackend = {
    listProjects: async () => [project.view()],
    async getProject(name) {
      project.check(name);
      return project.view();
    },
    async upProject(name, replicas = 1) {
      project.check(name);
      return project.up(replicas);
    },
    async downProject(name) {
      project.check(name);
      return project.down();
    },
  };
  return {
    router,
    poolManager,
    authority: createMockAuthority(),
    needsPasses: false,
    readiness: async () => [{ name: "mock", ready: true, detail: "" }],
    close: waits.close,
  };
}

function accepted(executionId: string, project: string, createdAtMs: number): Execution {
  return {
    executionId,
    project,
    status: ExecutionStatus.PENDING,
    endReason: EndReason.UNSPECIFIED,
    resultJson: "null",
    stdout: "",
    stderr: "",
    llmRequest: undefined,
    memoryUpdatesJson: "{}",
    truncated: undefined,
    createdAtMs,
    waitingOn: undefined,
  };
}

function isUnderWay({ status }: Execution): boolean {
  return status === ExecutionStatus.PENDING || status === ExecutionStatus.RUNNING;
}

function statusOf({ status }: Execution): Status {
  return statusFromProto(status) ?? "pending";
}

/**
 * The execution without the first `from.stdout` and `from.stderr` bytes of its outputs, because the client
 * has these already. A character that is cut by that is left out, too.
 */
function withOutputFrom(execution: Execution, from: OutputFrom): Execution {
  const rest = (text: string, bytes: number) => {
    const left = Buffer.from(text).subarray(bytes);
    const isInCharacter = (byte: number) => (byte & 0xc0) === 0x80;
    const first = left.findIndex((byte) => !isInCharacter(byte));
    return first < 0 ? "" : left.subarray(first).toString();
  };
  return {
    ...execution,
    stdout: rest(execution.stdout, from.stdout),
    stderr: rest(execution.stderr, from.stderr),
  };
}
