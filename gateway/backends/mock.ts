import { randomUUID } from "node:crypto";
import { AirlockError } from "../../services/common/errors.ts";
import {
  EndReason,
  type Execution,
  ExecutionStatus,
} from "../../services/common/gen/airlock/v1/execution.ts";
import { fingerprintOf } from "../../services/common/idempotency.ts";
import type { Backend } from "../backend.ts";
import { playOf } from "./mock-play.ts";
import { createMockProject, MOCK_TIMEOUT_MS } from "./mock-project.ts";
import { createMockRefusals } from "./mock-refusals.ts";
import { createMockStore } from "./mock-store.ts";
import { createMockWaits } from "./mock-waits.ts";

/**
 * Everything behind the gateway, from memory: a script completes at once with its own code as output, unless its comments
 * ask for something else (mock-play.ts); one that holds `llm.complete(` asks a question first.
 */
export function createMockBackend(now: () => number = Date.now, newId: () => string = randomUUID): Backend {
  const store = createMockStore();
  const project = createMockProject(() => store.count(ExecutionStatus.AWAITING_LLM));
  const end = (execution: Execution, change: Partial<Execution>): Execution =>
    store.update({ ...execution, llmRequest: undefined, executionTimeMs: 1, endedAtMs: now(), ...change });
  const waits = createMockWaits();
  /** Ends it as its script asks for, after it has run for as long. */
  const play = (execution: Execution, code: string): Execution => {
    const { runsForMs, ending } = playOf(code);
    if (runsForMs === 0) return end(execution, ending);
    const { executionId } = execution;
    waits.after(executionId, runsForMs, () => {
      const { execution: current } = store.get(executionId);
      if (current.status === ExecutionStatus.RUNNING) end(current, ending);
    });
    return store.update({ ...execution, status: ExecutionStatus.RUNNING, llmRequest: undefined });
  };
  const refused = createMockRefusals();
  return {
    async submit(request) {
      const key = request.idempotencyKey;
      const idempotency = key === undefined ? undefined : { key, fingerprint: await fingerprintOf(request) };
      const replay = idempotency && store.findReplay(idempotency);
      if (replay) return { ...replay, replayed: true };
      project.check(request.project);
      refused(request.code);
      if ((request.timeoutMs ?? 0) > MOCK_TIMEOUT_MS) throw timeoutTooLong();
      project.checkHold();
      if (!project.isUp()) project.up(1);
      const execution = store.add(accepted(newId(), request.project, now()), request.code, idempotency);
      if (request.code.includes("llm.complete(")) {
        const question = { id: newId(), prompt: promptIn(request.code), model: "default" };
        store.update({ ...execution, status: ExecutionStatus.AWAITING_LLM, llmRequest: question });
      } else {
        play(execution, request.code);
      }
      return { ...execution, replayed: false };
    },
    async getExecution(executionId, waitMs, signal) {
      if (store.get(executionId).execution.status === ExecutionStatus.RUNNING) {
        await waits.until(executionId, waitMs, signal);
      }
      return store.get(executionId).execution;
    },
    listExecutions: async (request) => store.list(request),
    async respond({ executionId, llmRequestId }) {
      const { execution, code } = store.get(executionId);
      if (!execution.llmRequest) throw notAwaiting();
      if (llmRequestId !== undefined && llmRequestId !== execution.llmRequest.id) throw otherQuestion();
      return play(execution, code);
    },
    async cancel(executionId) {
      const { execution } = store.get(executionId);
      if (execution.endedAtMs !== undefined) throw alreadyEnded();
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
    listDeadLetters: async () => ({ deadLetters: [], nextCursor: "" }),
    async retryDeadLetter({ executionId }) {
      store.get(executionId);
      throw notADeadLetter();
    },
    listProjects: async () => [project.view()],
    async getProject(name) {
      project.check(name);
      return project.view();
    },
    async upProject(name, replicas = 1) {
      project.check(name);
      return project.up(replicas);
    },
    async downProject(name, hold) {
      project.check(name);
      return project.down(hold);
    },
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
    startedAtMs: createdAtMs,
    waitingOn: undefined,
  };
}

/** The first string literal that the script gives to llm.complete, or a stand-in. */
function promptIn(code: string): string {
  const [, , prompt] = /llm\.complete\(\s*(["'])(.*?)\1/.exec(code) ?? [];
  return prompt || "A prompt that the script computes";
}

function timeoutTooLong(): AirlockError {
  const seconds = MOCK_TIMEOUT_MS / 1_000;
  return new AirlockError("invalid_request", `timeout must be at most ${seconds} seconds for this project.`);
}

function notAwaiting(): AirlockError {
  return new AirlockError(
    "not_awaiting_llm",
    "This execution does not wait for an answer. Poll it and respond only while its status is awaiting_llm.",
  );
}

function otherQuestion(): AirlockError {
  return new AirlockError(
    "llm_request_mismatch",
    "This answer names another question than the open one. Poll the execution and answer its llm_request.",
  );
}

function alreadyEnded(): AirlockError {
  return new AirlockError("already_ended", "This execution has already ended; its outcome does not change.");
}

function notADeadLetter(): AirlockError {
  return new AirlockError(
    "not_a_dead_letter",
    "Nothing ends through the mock's own fault, so there is nothing to retry. Submit the script again as a new execution.",
  );
}
