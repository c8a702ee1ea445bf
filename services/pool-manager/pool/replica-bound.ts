import type { Project } from "#common/projects/file.ts";

const MIB = 1024 * 1024;
/** The bytes of memory that a worker's supervisor and zygote use, besides those that its run may use. */
const WORKER_BYTES = 128 * MIB;

/** The largest number of workers that `up` may ask for, with a sentence that explains the number. */
export type ReplicaBound = { readonly max: number; readonly reason: string };

/**
 * The bounds of a deployment: its number of workers, and the memory of the machine that runs them, in bytes.
 */
export type Deployment = { readonly maxWorkers: number; readonly memoryBytes: number };

/**
 * The largest number of workers that `up` may give a project. An operator has considered the numbers in the
 * project file, so the file's `max` is allowed, and its fixed number may exceed what the machine's memory
 * allows. The bound of the deployment (AIRLOCK_MAX_WORKERS) is never exceeded.
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

/**
 * A warning for a project file that asks for more workers than the deployment may have; undefined for all
 * others.
 */
export function tooManyInFile({ replicas, scaling }: Project, maxWorkers: number): string | undefined {
  const wanted = scaling?.max ?? replicas;
  if (wanted <= maxWorkers) return undefined;
  return `the project file asks for ${wanted} workers, and this deployment may have ${maxWorkers} of all projects (AIRLOCK_MAX_WORKERS); no more are started`;
}

function toMb(bytes: number): number {
  return Math.floor(bytes / MIB);
}
