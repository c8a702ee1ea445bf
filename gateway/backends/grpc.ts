import { AirlockError } from "#common/errors.ts";
import { type CallLimits, callStream, callUnary } from "#common/grpc/client.ts";
import type { Edges } from "#common/grpc/edges.ts";
import type { Execution } from "#proto/execution.ts";
import { PoolManagerServiceClient, type Project } from "#proto/pool_manager.ts";
import { type ExecutionText, type ReadExecutionRequest, RouterServiceClient } from "#proto/router.ts";
import type { ShownExecution } from "../execution-text/execution-text.ts";
import type { Backend, BackendCall, BackendChange } from "./backend.ts";
import { LargeReads } from "./large-reads.ts";

const READ_MS = 5_000;
const CHANGE_MS = 15_000;
const HELD_MS = 1_000;
// The router checks a large memory in turns with other work: four at once take some seconds, on a busy machine many.
const MIB = 1024 * 1024;
/** An execution that has no more is fetched with the first call. */
const SMALL_BYTES = 256 * 1024;
const LARGEST_BYTES = 32 * MIB;
const MS_PER_MIB = 3_000;

/** The services behind the gateway, over gRPC. Connects on first use, and owns `edges` from here. */
export function connectBackend(
  addresses: { readonly routerAddress: string; readonly poolManagerAddress: string },
  edges: Edges,
): Backend {
  const router = edges.connect(RouterServiceClient, addresses.routerAddress);
  const pool = edges.connect(PoolManagerServiceClient, addresses.poolManagerAddress);
  const largeReads = new LargeReads();
  const readLarge = (
    request: ReadExecutionRequest,
    call: BackendChange & Partial<BackendCall>,
    bytes?: number,
  ) => largeReads.run(() => readExecution(router, request, call, bytes), call.signal);
  const read = ({ principal, signal }: BackendCall): CallLimits => ({
    timeoutMs: READ_MS,
    principal,
    signal,
  });
  const change = ({ principal }: BackendChange): CallLimits => ({ timeoutMs: CHANGE_MS, principal });
  /** A router that is away hides no project. */
  const heldProjects = async (call: BackendCall): Promise<(name: string) => boolean | null> => {
    try {
      const limits = { ...read(call), timeoutMs: HELD_MS };
      const { projects } = await callUnary(router, router.listHeldProjects, {}, "router", limits);
      return (name) => projects.includes(name);
    } catch {
      return () => null;
    }
  };
  return {
    async submit(request, call) {
      const timeoutMs = CHANGE_MS + MS_PER_MIB * (request.memoryJson.length / MIB);
      const limits = { ...change(call), timeoutMs };
      const response = await callUnary(router, router.submit, request, "router", limits);
      return { ...executionIn(response), replayed: response.replayed };
    },
    async getExecution(executionId, waitMs, call, room, outputFrom) {
      const limits = { ...read(call), timeoutMs: waitMs + READ_MS };
      const ask = { executionId, waitMs, maxBytes: SMALL_BYTES, outputFrom };
      const response = await callUnary(router, router.getExecution, ask, "router", limits);
      if (response.leftOutBytes === 0) return executionIn(response);
      await room(response.leftOutBytes);
      return await readLarge({ executionId, outputFrom }, call, response.leftOutBytes);
    },
    listExecutions: (request, call) =>
      callUnary(router, router.listExecutions, request, "router", read(call)),
    async respond(request, call) {
      const ask = { ...request, maxBytes: SMALL_BYTES };
      const { execution } = await callUnary(router, router.respond, ask, "router", change(call));
      return (
        execution ?? (await readLarge({ executionId: request.executionId }, { principal: call.principal }))
      );
    },
    async cancel(executionId, call) {
      const ask = { executionId, maxBytes: SMALL_BYTES };
      const { execution } = await callUnary(router, router.cancel, ask, "router", change(call));
      return execution ?? (await readLarge({ executionId }, { principal: call.principal }));
    },
    getRedactions: async (executionId, call) =>
      (await callUnary(router, router.getRedactions, { executionId }, "router", read(call))).redactions,
    listDeadLetters: (request, call) =>
      callUnary(router, router.listDeadLetters, request, "router", read(call)),
    retryDeadLetter: async (request, call) =>
      executionIn(await callUnary(router, router.retryDeadLetter, request, "router", change(call))),

    async listProjects(call) {
      const [{ projects }, isHeld] = await Promise.all([
        callUnary(pool, pool.listProjects, {}, "pool-manager", read(call)),
        heldProjects(call),
      ]);
      return projects.map((project) => ({ ...project, held: isHeld(project.name) }));
    },
    async getProject(name, call) {
      const [answer, isHeld] = await Promise.all([
        callUnary(pool, pool.getProject, { name }, "pool-manager", read(call)),
        heldProjects(call),
      ]);
      return { ...projectIn(answer), held: isHeld(name) };
    },
    async upProject(name, replicas, call) {
      // First what can refuse: a project that was not brought up stays held.
      const up = await callUnary(pool, pool.upProject, { name, replicas }, "pool-manager", change(call));
      await callUnary(router, router.releaseProject, { project: name }, "router", change(call));
      return projectIn(up);
    },
    async downProject(name, hold, call) {
      // First the hold, so that nothing starts the workers again.
      if (hold) await callUnary(router, router.holdProject, { project: name }, "router", change(call));
      return projectIn(await callUnary(pool, pool.downProject, { name }, "pool-manager", change(call)));
    },

    readiness: edges.deepReadiness,
    close: edges.close,
  };
}

/** Reads an execution of about so many bytes; what takes long is not given up before its turn has come. */
async function readExecution(
  router: RouterServiceClient,
  request: ReadExecutionRequest,
  { principal, signal }: BackendChange & Partial<BackendCall>,
  bytes = LARGEST_BYTES,
): Promise<ShownExecution> {
  const timeoutMs = READ_MS + MS_PER_MIB * (bytes / MIB);
  const limits = { timeoutMs, principal, ...(signal && { signal }) };
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

function projectIn({ project }: { project: Project | undefined }): Project {
  if (project) return project;
  throw new AirlockError("internal", "The pool-manager answered without a project.");
}
