import { AirlockError, asAirlockError } from "#common/errors.ts";
import { type CallLimits, callStream, callUnary, connect } from "#common/grpc/client.ts";
import type { TlsIdentity } from "#common/identity/tls-identity.ts";
import type { Execution } from "#proto/execution.ts";
import { PoolManagerServiceClient, type Project } from "#proto/pool_manager.ts";
import type { Dependency } from "#proto/readiness.ts";
import { type ExecutionText, RouterServiceClient } from "#proto/router.ts";
import type { ShownExecution } from "../execution-text/execution-text.ts";
import type { Backend } from "./backend.ts";
import { LargeReads } from "./large-reads.ts";

const READ_MS = 5_000;
const CHANGE_MS = 15_000;
const READINESS_MS = 2_000;
const HELD_MS = 1_000;
// The router checks a large memory in turns with other work: four at once take some seconds, on a busy machine many.
const MIB = 1024 * 1024;
/** An execution that has no more is fetched with the first call. */
const SMALL_BYTES = 256 * 1024;
const LARGEST_BYTES = 32 * MIB;
const MS_PER_MIB = 3_000;

/** The services behind the gateway, over gRPC. Connects on first use. */
export function connectBackend(
  addresses: { readonly routerAddress: string; readonly poolManagerAddress: string },
  tls?: TlsIdentity,
): Backend {
  const router = connect(RouterServiceClient, addresses.routerAddress, tls);
  const pool = connect(PoolManagerServiceClient, addresses.poolManagerAddress, tls);
  const largeReads = new LargeReads();
  const readLarge = (executionId: string, bytes?: number, signal?: AbortSignal) =>
    largeReads.run(() => readExecution(router, executionId, bytes, signal), signal);
  const read = (signal: AbortSignal): CallLimits => ({ timeoutMs: READ_MS, signal });
  const change: CallLimits = { timeoutMs: CHANGE_MS };
  /** A router that is away hides no project. */
  const heldProjects = async (signal: AbortSignal): Promise<(name: string) => boolean | null> => {
    try {
      const limits = { timeoutMs: HELD_MS, signal };
      const { projects } = await callUnary(router, router.listHeldProjects, {}, "router", limits);
      return (name) => projects.includes(name);
    } catch {
      return () => null;
    }
  };
  return {
    async submit(request) {
      const limits = { timeoutMs: CHANGE_MS + MS_PER_MIB * (request.memoryJson.length / MIB) };
      const response = await callUnary(router, router.submit, request, "router", limits);
      return { ...executionIn(response), replayed: response.replayed };
    },
    async getExecution(executionId, waitMs, signal, room) {
      const ask = (waitMs: number, maxBytes: number) => {
        const limits = { timeoutMs: waitMs + READ_MS, signal };
        return callUnary(router, router.getExecution, { executionId, waitMs, maxBytes }, "router", limits);
      };
      const response = await ask(waitMs, SMALL_BYTES);
      if (response.leftOutBytes === 0) return executionIn(response);
      await room(response.leftOutBytes);
      return await readLarge(executionId, response.leftOutBytes, signal);
    },
    listExecutions: (request, signal) =>
      callUnary(router, router.listExecutions, request, "router", read(signal)),
    async respond(request) {
      const ask = { ...request, maxBytes: SMALL_BYTES };
      const { execution } = await callUnary(router, router.respond, ask, "router", change);
      return execution ?? (await readLarge(request.executionId));
    },
    async cancel(executionId) {
      const ask = { executionId, maxBytes: SMALL_BYTES };
      const { execution } = await callUnary(router, router.cancel, ask, "router", change);
      return execution ?? (await readLarge(executionId));
    },
    getRedactions: async (executionId, signal) =>
      (await callUnary(router, router.getRedactions, { executionId }, "router", read(signal))).redactions,
    listDeadLetters: (request, signal) =>
      callUnary(router, router.listDeadLetters, request, "router", read(signal)),
    retryDeadLetter: async (request) =>
      executionIn(await callUnary(router, router.retryDeadLetter, request, "router", change)),

    async listProjects(signal) {
      const [{ projects }, isHeld] = await Promise.all([
        callUnary(pool, pool.listProjects, {}, "pool-manager", read(signal)),
        heldProjects(signal),
      ]);
      return projects.map((project) => ({ ...project, held: isHeld(project.name) }));
    },
    async getProject(name, signal) {
      const [answer, isHeld] = await Promise.all([
        callUnary(pool, pool.getProject, { name }, "pool-manager", read(signal)),
        heldProjects(signal),
      ]);
      return { ...projectIn(answer), held: isHeld(name) };
    },
    async upProject(name, replicas) {
      // First what can refuse: a project that was not brought up stays held.
      const up = await callUnary(pool, pool.upProject, { name, replicas }, "pool-manager", change);
      await callUnary(router, router.releaseProject, { project: name }, "router", change);
      return projectIn(up);
    },
    async downProject(name, hold) {
      // First the hold, so that nothing starts the workers again.
      if (hold) await callUnary(router, router.holdProject, { project: name }, "router", change);
      return projectIn(await callUnary(pool, pool.downProject, { name }, "pool-manager", change));
    },

    async readiness() {
      const limits: CallLimits = { timeoutMs: READINESS_MS };
      const answers = await Promise.all([
        askReadiness("router", callUnary(router, router.getRouterReadiness, {}, "router", limits)),
        askReadiness(
          "pool-manager",
          callUnary(pool, pool.getPoolManagerReadiness, {}, "pool-manager", limits),
        ),
      ]);
      return mergeDependencies(answers.flat());
    },
    close() {
      router.close();
      pool.close();
      tls?.close();
    },
  };
}

/** Reads an execution of about so many bytes; what takes long is not given up before its turn has come. */
async function readExecution(
  router: RouterServiceClient,
  executionId: string,
  bytes = LARGEST_BYTES,
  signal?: AbortSignal,
): Promise<ShownExecution> {
  const limits = { timeoutMs: READ_MS + MS_PER_MIB * (bytes / MIB), ...(signal && { signal }) };
  const longTexts = new Map<ExecutionText, Buffer[]>();
  let execution: Execution | undefined;
  for await (const { part } of callStream(router, router.readExecution, { executionId }, "router", limits)) {
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

async function askReadiness(
  name: string,
  answer: Promise<{ dependencies: Dependency[] }>,
): Promise<Dependency[]> {
  try {
    return [{ name, ready: true, detail: "" }, ...(await answer).dependencies];
  } catch (error) {
    return [{ name, ready: false, detail: asAirlockError(error).message }];
  }
}

// Two services may depend on a third: it is ready when nobody misses it, and whoever does says why.
function mergeDependencies(all: readonly Dependency[]): Dependency[] {
  const merged = new Map<string, Dependency>();
  for (const dependency of all) {
    if (merged.get(dependency.name)?.ready !== false) merged.set(dependency.name, dependency);
  }
  return [...merged.values()];
}

function executionIn({ execution }: { execution: Execution | undefined }): Execution {
  if (execution) return execution;
  throw new AirlockError("internal", "The router answered without an execution.");
}

function projectIn({ project }: { project: Project | undefined }): Project {
  if (project) return project;
  throw new AirlockError("internal", "The pool-manager answered without a project.");
}
