import type { Project } from "#common/projects/file.ts";

const MIB = 1024 * 1024;
/** In bytes, beside what its run may use: a worker's supervisor and zygote. */
const WORKER_BYTES = 128 * MIB;

/** How many workers a project may be given by hand, and a sentence that says why no more. */
export type ReplicaBound = { readonly max: number; readonly reason: string };

/** What bounds the workers of a deployment: their number, and the memory of the machine that they run on, in bytes. */
export type Deployment = { readonly maxWorkers: number; readonly memoryBytes: number };

/**
 * What the project file says, an operator has weighed: its `max` counts, and its fixed number may be more than the memory's
 * share. Nothing is more than the deployment may have.
 */
export function replicaBound(project: Project, { maxWorkers, memoryBytes }: Deployment): ReplicaBound {
  const { scaling, replicas, limits } = project;
  const ofDeployment = {
    max: maxWorkers,
    reason: `this deployment may have ${maxWorkers} workers of all projects together (AIRLOCK_MAX_WORKERS).`,
  };
  if (scaling) {
    if (scaling.max > maxWorkers) return ofDeployment;
    return { max: scaling.max, reason: `its project file says replicas: {max: ${scaling.max}}.` };
  }
  const ofWorker = limits.memoryBytes + WORKER_BYTES;
  const inMemory = Math.max(1, Math.floor(memoryBytes / ofWorker));
  const max = Math.max(inMemory, replicas);
  if (max >= maxWorkers) return ofDeployment;
  const reason = `the machine has ${toMb(memoryBytes)} MB of memory, and one of the project's workers may use ${toMb(ofWorker)} MB (limits: memory_mb, and ${toMb(WORKER_BYTES)} MB for itself). The operator can set more in the project file (replicas).`;
  return { max, reason };
}

/** What to tell the operator of a project file that asks for more workers than the deployment may have. */
export function tooManyInFile({ replicas, scaling }: Project, maxWorkers: number): string | undefined {
  const wanted = scaling?.max ?? replicas;
  if (wanted <= maxWorkers) return undefined;
  return `the project file asks for ${wanted} workers, and this deployment may have ${maxWorkers} of all projects (AIRLOCK_MAX_WORKERS); no more are started`;
}

function toMb(bytes: number): number {
  return Math.floor(bytes / MIB);
}
