import { AirlockError } from "#common/errors.ts";
import { callStream, callUnary } from "#common/grpc/client.ts";
import type { Execution } from "#proto/execution.ts";
import type { ExecutionText, ReadExecutionRequest, RouterServiceClient } from "#proto/router.ts";
import type { ShownExecution } from "../../execution-text/execution-text.ts";
import type { BackendCall, BackendChange } from "../call.ts";
import type { RouterBackend } from "../router.ts";
import { LargeReads } from "./large-reads.ts";
import { CHANGE_MS, limitsFor, READ_MS } from "./limits.ts";

const { read, change } = limitsFor("router");

// Milliseconds within which the router must say which projects are held. The limit is short, because a list
// of projects must not wait long for a router that does not answer.
const HELD_MS = 1_000;
const MIB = 1024 * 1024;
/**
 * Bytes of the largest execution that comes with the router's first response. A larger one is streamed in a
 * second call.
 */
const SMALL_BYTES = 256 * 1024;
/** Bytes that an execution of unknown size is taken to have. */
const LARGEST_BYTES = 32 * MIB;
/**
 * Milliseconds that each MiB of an execution or of a submission's memory adds to the time limit of its call.
 */
const MS_PER_MIB = 3_000;

export function routerOver(router: RouterServiceClient): RouterBackend {
  const largeReads = new LargeReads();
  const readLarge = (
    request: ReadExecutionRequest,
    call: BackendChange & Partial<BackendCall>,
    bytes?: number,
  ) => largeReads.run(() => readExecution(router, request, call, bytes), call.signal);
  return {
    async submit(request, call) {
      const timeoutMs = CHANGE_MS + MS_PER_MIB * (request.memoryJson.length / MIB);
      const limits = { ...change(call), timeoutMs };
      const response = await callUnary(router, router.submit, request, "router", limits);
      return { ...executionIn(response), replayed: response.replayed };
    },
    async getExecution(executionId, waitMs, call, reserveMemory, outputFrom) {
      const limits = { ...read(call), timeoutMs: waitMs + READ_MS };
      const ask = { executionId, waitMs, maxBytes: SMALL_BYTES, outputFrom };
      const response = await callUnary(router, router.getExecution, ask, "router", limits);
      if (response.leftOutBytes === 0) return executionIn(response);
      await reserveMemory(response.leftOutBytes);
      return await readLarge({ executionId, outputFrom }, call, response.leftOutBytes);
    },
    listExecutions: (request, call) =>
      callUnary(router, router.listExecutions, request, "router", read(call)),
    async respond(request, call) {
      const ask = { ...request, maxBytes: SMALL_BYTES };
      const { execution } = await callUnary(router, router.respond, ask, "router", change(call));
      return execution ?? (await readLarge({ executionId: request.executionId }, withoutSignal(call)));
    },
    async cancel(executionId, call) {
      const ask = { executionId, maxBytes: SMALL_BYTES };
      const { execution } = await callUnary(router, router.cancel, ask, "router", change(call));
      return execution ?? (await readLarge({ executionId }, withoutSignal(call)));
    },
    getRedactions: async (executionId, call) =>
      (await callUnary(router, router.getRedactions, { executionId }, "router", read(call))).redactions,
    listDeadLetters: (request, call) =>
      callUnary(router, router.listDeadLetters, request, "router", read(call)),
    retryDeadLetter: async (request, call) =>
      executionIn(await callUnary(router, router.retryDeadLetter, request, "router", change(call))),
    listHeldProjects: async (call) => {
      const limits = { ...read(call), timeoutMs: HELD_MS };
      return (await callUnary(router, router.listHeldProjects, {}, "router", limits)).projects;
    },
    holdProject: async (project, call) =>
      void (await callUnary(router, router.holdProject, { project }, "router", change(call))),
    releaseProject: async (project, call) =>
      void (await callUnary(router, router.releaseProject, { project }, "router", change(call))),
  };
}

/** The same call without its signal, because a client that disconnects does not end a change. */
function withoutSignal({ principal, passes }: BackendChange): BackendChange {
  return { principal, passes };
}

/**
 * Streams an execution of about `bytes` from the router. The time limit grows with the size. It does not
 * include the wait for earlier large reads.
 */
async function readExecution(
  router: RouterServiceClient,
  request: ReadExecutionRequest,
  call: BackendChange & Partial<BackendCall>,
  bytes = LARGEST_BYTES,
): Promise<ShownExecution> {
  const timeoutMs = READ_MS + MS_PER_MIB * (bytes / MIB);
  const { signal } = call;
  const limits = { ...change(call), timeoutMs, ...(signal && { signal }) };
  const longTexts = new Map<ExecutionText, Buffer[]>();
  let execution: Execution | undefined;
  for await (const { part } of callStream(router, router.readExecution, request, "router", limits)) {
    if (part?.$case === "execution") execution = part.value;
    else if (part) {
      const { text, piece } = part.value;
      const pieces = longTexts.get(text) ?? [];
      longTexts.set(text, pieces);
      pieces.push(piece);
    }
  }
  return { ...executionIn({ execution }), longTexts };
}

function executionIn({ execution }: { execution: Execution | undefined }): Execution {
  if (execution) return execution;
  throw new AirlockError("internal", "The router answered without an execution.");
}
