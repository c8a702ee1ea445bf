import { AirlockError } from "#common/errors.ts";
import type { TlsIdentity } from "#common/identity/tls-identity.ts";
import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import { type Project, type ProjectProblem, parseProjectFile } from "#common/projects/file.ts";
import { projectInvalid, projectUnknown } from "#common/projects/usable-project.ts";
import type { CircuitBreaker } from "#common/resilience/circuit-breaker.ts";
import type { Circuits } from "#common/resilience/circuits.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { repeat } from "#common/resilience/repeat.ts";
import type { Log } from "#common/service/log.ts";
import type { Waiting } from "#proto/execution.ts";
import type { WorkerDriver } from "../drivers/driver.ts";
import type { WatchedProvisioning } from "../worker/refused-values.ts";
import { startWorker, takeOverWorker, type WorkerParts } from "../worker/worker.ts";
import { type Autoscaler, startAutoscaler } from "./autoscaler.ts";
import { stopping } from "./lease.ts";
import { createPoolMetrics } from "./metrics.ts";
import type { WorkerPlaces } from "./places.ts";
import { createPool, type Pool } from "./pool.ts";
import { replicaBound, tooManyInFile } from "./replica-bound.ts";
import { START_CIRCUIT } from "./start-circuit.ts";
import type { PoolView, ProjectState } from "./view.ts";
import { describeWaiting } from "./waiting.ts";

// Milliseconds after which a request reads the project files again.
const LOOK_AGAIN_MS = 500;
// Milliseconds between two readings of the project files without a request.
const WATCH_MS = 2_000;

/** The pools of all projects, by project name. */
export type Pools = {
  /** All projects, including those with a broken file. */
  list(): Promise<ProjectState[]>;
  /** A project and its pool. Rejects with `project_not_found`, which names the known projects. */
  find(name: string): Promise<ProjectState>;
  /** Describes what an execution of the project waits for. Rejects with `project_not_found`. */
  waiting(name: string, executionId: string): Promise<Waiting>;
  /**
   * Lets the project's pool finish its runs and its queue, and then stops its workers. Rejects with
   * `project_not_found`.
   */
  down(name: string): Promise<ProjectState>;
  /**
   * The pool of a usable project. Rejects with `project_not_found` or `project_invalid`. With `isAttaching`,
   * also the pool of a project whose file is broken, for executions that run on its workers already.
   */
  open(name: string, isAttaching?: boolean): Promise<{ project: Project; pool: Pool }>;
  /**
   * Starts a project's workers by hand: `replicas`, or as many as its file says. Delayed starts are tried at
   * once, because the operator may have removed the cause. Rejects with `invalid_request` when `replicas` is
   * out of range.
   */
  up(name: string, replicas: number | undefined): Promise<ProjectState>;
  /** Reports how long an execution waited in the queue for its worker, in milliseconds. */
  granted(project: string, waitedMs: number): void;
  /**
   * Takes over the workers that an earlier process of this deployment left running. A worker that does not
   * fit its project any more is replaced once its executions have ended.
   */
  takeOver(): Promise<void>;
  close(graceMs: number): Promise<void>;
};

type Entry = {
  project: Project;
  /**
   * True when the project's file was broken at the takeover of its workers. `project` then has only its name,
   * and no worker is started.
   */
  isBare: boolean;
  readonly pool: Pool;
  readonly autoscaler: Autoscaler;
  readonly starts: CircuitBreaker;
};

export function createPools(parts: {
  readonly catalogue: ProjectCatalogue;
  /** The project files alone, with their lock files, and without the problems that the checks of secrets find. */
  readonly files: Pick<ProjectCatalogue, "get">;
  readonly driver: WorkerDriver;
  readonly values: WatchedProvisioning;
  readonly circuits: Circuits;
  readonly places: WorkerPlaces;
  /** The largest number of workers of all projects together. */
  readonly maxWorkers: number;
  /** Whether a project with a network starts only where each run has a network namespace. */
  readonly needsNetworkNamespace: boolean;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  /** This service's TLS identity; undefined when all workers run on this machine. */
  readonly tls?: TlsIdentity | undefined;
}): Pools {
  const { catalogue, files, driver, values, circuits, places, maxWorkers, clock, newId, log, tls } = parts;
  const pools = new Map<string, Entry>();
  const metrics = createPoolMetrics(
    circuits.registry,
    () => [...pools].map(([name, { pool }]) => [name, pool.view()] as const),
    () => catalogue.list().flatMap((entry) => (isUsable(entry) ? [] : entry.name)),
  );
  let isClosing = false;
  let lookedAtMs = clock.monotonicMs();

  let unreadable: string | undefined;
  // Project files are watched without requests too, so that a mistake is logged when it is made.
  const stopWatching = repeat(WATCH_MS, () => look(), clock);

  const lookSometimes = async () => {
    if (clock.monotonicMs() - lookedAtMs >= LOOK_AGAIN_MS) await look();
  };

  /** Looks for changed project files, and waits for that of the project `awaited` while it is being written. */
  const look = async (awaited?: string) => {
    lookedAtMs = clock.monotonicMs();
    if (await catalogue.refresh(awaited)) log.info("project files changed");
    const detail = catalogue.unreadable();
    // An unreadable directory is logged once, not at each look.
    if (detail !== undefined && unreadable === undefined)
      log.error({ detail }, "the projects directory cannot be read; its projects go on as they were");
    unreadable = detail;
    for (const [name, entry] of pools) {
      takeChange(name, entry);
      void values.askAgain(entry.project);
    }
  };

  /**
   * The state of a project's pool for operators. A problem with the project's secrets is shown instead of the
   * pool's own detail.
   */
  const viewOf = (name: string): PoolView | undefined => {
    const view = pools.get(name)?.pool.view();
    return view && { ...view, detail: values.problemOf(name) ?? view.detail };
  };

  /** Applies a changed project file to its running pool. */
  const takeChange = (name: string, entry: Entry) => {
    const current = catalogue.get(name);
    if (!current) return entry.pool.down();
    // With a broken project file the pool goes on as before, for executions that were accepted earlier.
    if (!isUsable(current)) return;
    const { poolRevision, sizeRevision } = entry.project;
    entry.isBare = false;
    const rolls =
      current.poolRevision !== poolRevision ||
      (driver.boundsWorkers && current.sizeRevision !== sizeRevision);
    // With a scaling range, the autoscaler decides the number of workers.
    const resizes = current.replicas !== entry.project.replicas && !current.scaling;
    if (resizes) warnOfFile(current);
    entry.project = current;
    if (rolls) entry.starts.close();
    if (resizes) entry.pool.resize(current.replicas);
    if (rolls) entry.pool.roll("the project file or its lock changed");
  };

  const warnOfFile = (project: Project) => {
    const problem = tooManyInFile(project, maxWorkers);
    if (problem) log.warn({ project: project.name }, problem);
  };

  const find = async (name: string) => {
    await lookSometimes();
    if (!catalogue.get(name)) await look(name);
    const entry = catalogue.get(name);
    if (entry) return entry;
    throw projectUnknown(catalogue);
  };

  const partsOf = (entry: Entry, project: Project, workerId: string): WorkerParts => ({
    ...{ project, workerId, log, tls, needsNetworkNamespace: parts.needsNetworkNamespace },
    provide: () => values.provide(entry.project),
  });

  const create = (project: Project, isBare = false): Entry => {
    const starts = circuits.add("worker_start", START_CIRCUIT, project.name);
    const pool = createPool({
      project: project.name,
      places,
      keepsWorkers: driver.keepsWorkers,
      clock,
      log,
      startWorker: (onProgress, ready, signal) =>
        starts.run(async () => {
          const { project: current } = entry;
          const refusal = driver.refusal(current);
          if (refusal) throw new AirlockError("start_failed", refusal);
          await driver.prepare(current, onProgress, signal);
          await ready(signal);
          onProgress("starting workers");
          const id = newId();
          const launch = () => driver.start(current, id);
          return await metrics.timeStart(project.name, () =>
            startWorker(launch, partsOf(entry, current, id), signal),
          );
        }),
    });
    warnOfFile(project);
    const range = () => entry.project.scaling;
    const autoscaler = startAutoscaler({ project: project.name, pool, range, clock, log });
    const entry: Entry = { project, isBare, pool, autoscaler, starts };
    pools.set(project.name, entry);
    return entry;
  };

  const open = async (name: string, isAttaching = false): Promise<Entry> => {
    await lookSometimes();
    const serves = (entry: Entry | undefined) => entry !== undefined && (isAttaching || !entry.isBare);
    const project = serves(pools.get(name)) ? catalogue.get(name) : await find(name);
    // The pool is looked up after the awaits above, because another call may have created it meanwhile.
    const known = pools.get(name);
    if (isClosing && !known) throw stopping();
    if (project && isUsable(project)) {
      if (known?.isBare) takeChange(name, known);
      return known ?? create(project);
    }
    // Executions that were accepted with the earlier file are still served as that file says. The router
    // accepts no new ones.
    if (known && serves(known)) return known;
    throw projectInvalid(project as ProjectProblem);
  };

  return {
    granted(project, waitedMs) {
      metrics.granted(project, waitedMs);
      pools.get(project)?.autoscaler.waited(waitedMs);
    },
    async list() {
      await lookSometimes();
      return catalogue.list().map((entry) => ({ entry, pool: viewOf(entry.name) }));
    },
    async find(name) {
      return { entry: await find(name), pool: viewOf(name) };
    },
    async waiting(name, executionId) {
      const pool = pools.get(name)?.pool;
      const entry = await find(name);
      const state = { entry, pool: pool?.view() };
      return describeWaiting(state, pool?.position(executionId) ?? 0, values.problemOf(name));
    },
    open,
    async up(name, replicas) {
      // The project files are read anew, because the operator may have corrected one a moment ago.
      await look(name);
      const current = catalogue.get(name);
      if (current && !isUsable(current)) throw projectInvalid(current);
      const entry = await open(name);
      if (replicas !== undefined) {
        const bound = replicaBound(entry.project, { maxWorkers, memoryBytes: await driver.memoryBytes() });
        if (replicas < 1 || replicas > bound.max) {
          throw new AirlockError(
            "invalid_request",
            `replicas must be from 1 to ${bound.max}: ${bound.reason} To stop the project, take it down.`,
          );
        }
      }
      entry.starts.close();
      entry.pool.up(replicas ?? entry.project.replicas);
      return { entry: entry.project, pool: viewOf(name) };
    },
    async down(name) {
      // A project whose file is broken or removed can be taken down too, because its workers still run.
      const pool = pools.get(name)?.pool;
      if (pool) pool.down();
      else await find(name);
      const entry = catalogue.get(name) ?? { name, problem: "its file was removed" };
      return { entry, pool: viewOf(name) };
    },
    async takeOver() {
      const found = await driver.findRunning((name) => {
        // Problems with secrets are ignored here, because a running worker has its secrets already.
        const entry = files.get(name);
        return entry && isUsable(entry) ? entry : undefined;
      });
      for (const { project: name, workerId, process, outdated } of found) {
        const current = files.get(name);
        const project = current && isUsable(current) ? current : bareProject(name);
        const isBare = project !== current;
        const entry = pools.get(name) ?? create(project, isBare);
        // An outdated worker is checked only against the defaults, because it keeps the layers (protections
        // around runs) that it was started with. The demands of the present project file count for later
        // workers.
        const own = outdated === undefined ? project : bareProject(name);
        entry.pool.take(isBare ? 0 : project.replicas, workerId, async (signal) => {
          const worker = await takeOverWorker(process, partsOf(entry, own, workerId), signal);
          return outdated === undefined ? worker : { ...worker, ending: Promise.resolve(outdated) };
        });
      }
    },
    async close(graceMs) {
      isClosing = true;
      await stopWatching();
      for (const { autoscaler } of pools.values()) autoscaler.stop();
      await Promise.all([...pools.values()].map(({ pool }) => pool.close(graceMs)));
      await driver.close();
    },
  };
}

/** A project of which only the name is known; all settings have their defaults. */
function bareProject(name: string): Project {
  return parseProjectFile(`${name}.yaml`, `name: ${JSON.stringify(name)}`) as Project;
}
