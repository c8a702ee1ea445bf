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

// How long a changed project file may go unnoticed.
const LOOK_AGAIN_MS = 500;
const WATCH_MS = 2_000;

/** The pools of all projects, by project name. */
export type Pools = {
  /** Every project, also those with a broken file. */
  list(): Promise<ProjectState[]>;
  /** Rejects with `project_not_found`, naming the known ones. */
  find(name: string): Promise<ProjectState>;
  /** What an execution of the project waits for. Rejects with `project_not_found`. */
  waiting(name: string, executionId: string): Promise<Waiting>;
  /** Drains the project's pool. Rejects with `project_not_found`. */
  down(name: string): Promise<ProjectState>;
  /**
   * The pool of a usable project. Rejects with `project_not_found` or `project_invalid`. With `isAttaching` also that of another one,
   * for what its workers run already.
   */
  open(name: string, isAttaching?: boolean): Promise<{ project: Project; pool: Pool }>;
  /**
   * Starts a project's workers by hand, `replicas` or as many as its file says; what kept them from starting has perhaps been
   * mended. Rejects with `invalid_request` when that many may not be.
   */
  up(name: string, replicas: number | undefined): Promise<ProjectState>;
  /** An execution of the project got its worker after this time in the queue. */
  granted(project: string, waitedMs: number): void;
  /** Takes over what an earlier process of this deployment left running; what does not fit any more is replaced when it has ended. */
  takeOver(): Promise<void>;
  close(graceMs: number): Promise<void>;
};

type Entry = {
  project: Project;
  /** Its file could not be used when its workers were taken over: `project` has its name alone, and nothing is started. */
  isBare: boolean;
  readonly pool: Pool;
  readonly autoscaler: Autoscaler;
  readonly starts: CircuitBreaker;
};

export function createPools(parts: {
  readonly catalogue: ProjectCatalogue;
  /** The project files alone, whatever is wrong with their secrets. */
  readonly files: Pick<ProjectCatalogue, "get">;
  readonly driver: WorkerDriver;
  readonly values: WatchedProvisioning;
  readonly circuits: Circuits;
  readonly places: WorkerPlaces;
  /** Workers of all projects; more are never started. */
  readonly maxWorkers: number;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  /** Needed for workers that are not on this machine. */
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
  // Also without any call: what breaks is said when it breaks.
  const stopWatching = repeat(WATCH_MS, () => look(true), clock);

  const look = async (force: boolean) => {
    if (!force && clock.monotonicMs() - lookedAtMs < LOOK_AGAIN_MS) return;
    lookedAtMs = clock.monotonicMs();
    if (await catalogue.refresh()) log.info("project files changed");
    const detail = catalogue.unreadable();
    // Once, not every time.
    if (detail !== undefined && unreadable === undefined)
      log.error({ detail }, "the projects directory cannot be read; its projects go on as they were");
    unreadable = detail;
    for (const [name, entry] of pools) {
      takeChange(name, entry);
      void values.askAgain(entry.project);
    }
  };

  /** The pool of a project as it is shown: what keeps its scripts from starting comes before what the pool is busy with. */
  const viewOf = (name: string): PoolView | undefined => {
    const view = pools.get(name)?.pool.view();
    return view && { ...view, detail: values.problemOf(name) ?? view.detail };
  };

  /** Takes a changed project file over into its running pool. */
  const takeChange = (name: string, entry: Entry) => {
    const current = catalogue.get(name);
    if (!current) return entry.pool.down();
    // A file that broke: the pool goes on with what it last was, for what was accepted by then.
    if (!isUsable(current)) return;
    const { poolRevision, sizeRevision } = entry.project;
    entry.isBare = false;
    const rolls =
      current.poolRevision !== poolRevision ||
      (driver.boundsWorkers && current.sizeRevision !== sizeRevision);
    // Within a range it is the queue that decides.
    const resizes = current.replicas !== entry.project.replicas && !current.scaling;
    if (resizes) warnOfFile(current);
    entry.project = current;
    if (rolls) entry.starts.close();
    if (resizes) entry.pool.resize(current.replicas);
    if (rolls) entry.pool.roll("the project file changed");
  };

  const warnOfFile = (project: Project) => {
    const problem = tooManyInFile(project, maxWorkers);
    if (problem) log.warn({ project: project.name }, problem);
  };

  const find = async (name: string) => {
    await look(false);
    if (!catalogue.get(name)) await look(true);
    const entry = catalogue.get(name);
    if (entry) return entry;
    throw projectUnknown(catalogue);
  };

  const partsOf = (entry: Entry, project: Project, workerId: string): WorkerParts => ({
    ...{ project, workerId, log, tls },
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
          await ready();
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
    await look(false);
    const serves = (entry: Entry | undefined) => entry !== undefined && (isAttaching || !entry.isBare);
    const project = serves(pools.get(name)) ? catalogue.get(name) : await find(name);
    // After everything that is waited for: of calls that come at the same time, another one has perhaps made the pool.
    const known = pools.get(name);
    if (isClosing && !known) throw stopping();
    if (project && isUsable(project)) {
      if (known?.isBare) takeChange(name, known);
      return known ?? create(project);
    }
    // What was accepted while the file was in order is still served as it was then; the router accepts nothing new.
    if (known && serves(known)) return known;
    throw projectInvalid(project as ProjectProblem);
  };

  return {
    granted(project, waitedMs) {
      metrics.granted(project, waitedMs);
      pools.get(project)?.autoscaler.waited(waitedMs);
    },
    async list() {
      await look(false);
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
      // The operator has perhaps mended the file a moment ago.
      await look(true);
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
      // Also of a project whose file has broken or gone: its workers are there to be stopped.
      const pool = pools.get(name)?.pool;
      if (pool) pool.down();
      else await find(name);
      const entry = catalogue.get(name) ?? { name, problem: "its file was removed" };
      return { entry, pool: viewOf(name) };
    },
    async takeOver() {
      const found = await driver.findRunning((name) => {
        // A worker that runs has its secrets.
        const entry = files.get(name);
        return entry && isUsable(entry) ? entry : undefined;
      });
      for (const { project: name, workerId, process, outdated } of found) {
        const current = files.get(name);
        const project = current && isUsable(current) ? current : bareProject(name);
        const isBare = project !== current;
        const entry = pools.get(name) ?? create(project, isBare);
        // What it was started with is in force in it; what the file demands now is for those that come after it.
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

/** A project that is known by its name alone. */
function bareProject(name: string): Project {
  return parseProjectFile(`${name}.yaml`, `name: ${JSON.stringify(name)}`) as Project;
}
