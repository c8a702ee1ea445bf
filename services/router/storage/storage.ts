import { Counter, Gauge, type Registry } from "prom-client";
import type { Clock } from "#common/resilience/clock.ts";
import { repeat } from "#common/resilience/repeat.ts";
import type { Log } from "#common/service/log.ts";
import type { ProjectDirectory } from "../peers/projects.ts";
import type { ExecutionStore } from "../store/store.ts";
import {
  bytesOf,
  type Excess,
  excessOf,
  largestOf,
  mayStart,
  neverFits,
  type StorageLimits,
  storageFull,
} from "./storage-bounds.ts";

const LOOK_EVERY_MS = 1_000;
// A count of stored bytes that is older than this is read again before a submission is checked against it. A
// count gets so old only while the database cannot be reached.
const FRESH_MS = 5_000;
// The most executions that one removal deletes: few enough that a submission never waits long for it.
const BATCH = 100;
// The most bytes that are removed from the project that stores most, before the router determines again which
// project that is.
const STEP_BYTES = 64 * 1024 * 1024;
// The wait, in milliseconds, when another router is removing executions of the same project.
const BUSY_WAIT_MS = 50;
// The lowest limit of stored bytes that a project file may set. A project that stores less cannot exceed its
// limit, so the router does not ask for it.
const LOWEST_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Keeps the stored bytes within the limits of each project and of the deployment, by deleting the oldest
 * ended executions.
 */
export type Storage = {
  /**
   * Reserves space for a submission of `bytes` bytes, and deletes the oldest ended executions if necessary.
   * `limitBytes`: the project's own limit; undefined: none is known. Rejects with `storage_full` when no
   * ended execution is left to delete, and with `payload_too_large` when the submission would never fit.
   * `isWanted` is asked before anything is deleted; undefined means yes. Resolves to undefined when it says no.
   */
  reserve(
    project: string,
    limitBytes: number | undefined,
    bytes: number,
    isWanted?: () => Promise<boolean>,
  ): Promise<Reservation | undefined>;
  /**
   * Whether a pending execution of the project may start now, or must wait because running executions need
   * the disk space.
   */
  mayStart(project: string): boolean;
  /**
   * Waits until a pending execution of the project may start, because other executions have ended and freed
   * disk space. Also resolves when `signal` aborts.
   */
  awaitStart(project: string, signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
};

/**
 * Disk space that is reserved for one submission. The reservation counts as stored until the database's own
 * count includes the submission.
 */
export type Reservation = {
  /** Keeps the space, because the submission is stored or may be. */
  used(): void;
  /** Frees the space, because the submission was not stored and will not be. */
  giveBack(): void;
};

type Reserved = { readonly project: string; readonly bytes: number; isUsed: boolean };

export function startStorage(parts: {
  readonly store: ExecutionStore;
  readonly projects: ProjectDirectory;
  /** The most bytes that all projects may store together. */
  readonly totalBytes: number;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
}): Storage {
  const { store, projects, totalBytes, clock, log } = parts;
  const metrics = createStorageMetrics(parts.registry, () => stored);
  const reserved = new Set<Reserved>();
  // Stored bytes by project, as the database counted them last.
  let stored = new Map<string, number>();
  // Stored bytes by project, with the bytes that are reserved for submissions added.
  let usage = new Map<string, number>();
  // Bytes of running and paused executions by project, at the last count.
  let started = new Map<string, number>();
  // Bytes of the ended executions of all projects, at the last count.
  let endedBytes = 0;
  // The limit in bytes of each project that stores anything; infinity where it was not needed or is not
  // known.
  const projectLimits = new Map<string, number>();
  const waitingToStart = new Set<{ readonly project: string; readonly start: () => void }>();
  let total: Pick<StorageLimits, "total" | "disk"> = { total: totalBytes };
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  let removing: Promise<boolean> | undefined;

  const add = ({ project, bytes }: { project: string; bytes: number }) =>
    usage.set(project, (usage.get(project) ?? 0) + bytes);

  const readNow = async () => {
    const counted = [...reserved].filter(({ isUsed }) => isUsed);
    const [rows, unfinished, capacity] = await Promise.all([
      store.countStoredBytes(),
      store.countUnfinishedBytes(),
      store.capacity(),
    ]);
    const isOfDisk = capacity.bytes < totalBytes;
    if (isOfDisk && !total.disk) {
      const [capacityMb, totalMb] = [toMb(capacity.bytes), toMb(totalBytes)];
      const [freeMb, keptFreeMb] = [toMb(capacity.freeBytes), toMb(capacity.keptFreeBytes)];
      log.warn({ freeMb, keptFreeMb, capacityMb, totalMb }, "the disk has less room than AIRLOCK_DISK_MB");
    }
    total = isOfDisk ? { total: capacity.bytes, disk: capacity } : { total: totalBytes };
    for (const each of counted) reserved.delete(each);
    stored = new Map(rows.map(({ project, bytes }) => [project, bytes]));
    started = new Map(
      unfinished.filter((each) => each.started > 0).map((each) => [each.project, each.started]),
    );
    endedBytes = bytesOf(stored) - unfinished.reduce((sum, each) => sum + each.pending + each.started, 0);
    usage = new Map(stored);
    for (const each of reserved) add(each);
    readAtMs = clock.monotonicMs();
  };
  const read = () => {
    reading ??= readNow().finally(() => {
      reading = undefined;
    });
    return reading;
  };

  /** Stored bytes of a project: the database's last count, and the submissions that were stored since. */
  const storedNow = (project: string) => {
    const since = [...reserved].filter((each) => each.isUsed && each.project === project);
    return since.reduce((sum, { bytes }) => sum + bytes, stored.get(project) ?? 0);
  };

  /**
   * Whether a project, with its reservations, stores no more than its share: the total limit divided by the
   * number of projects that store anything.
   */
  const isWithinShare = (project: string) =>
    (usage.get(project) ?? 0) * Math.max(1, usage.size) <= total.total;

  /**
   * Deletes some ended executions, so that `excess` becomes smaller. Resolves to false when no deletion would
   * help.
   */
  const removeSome = async ({ bound, bytes, leastBytes }: Excess, project: string): Promise<boolean> => {
    // Nothing is deleted when all ended executions together would not free enough space, because the
    // submission would be refused in any case.
    if (bound === "total" && endedBytes < leastBytes) return false;
    const spent = new Set<string>();
    for (;;) {
      const from = bound === "project" ? project : largestOf(stored, spent);
      if (from === undefined || spent.has(from)) return false;
      // Executions of a project within its share are not deleted for a project beyond its share.
      if (bound === "total" && from !== project && isWithinShare(from) && !isWithinShare(project))
        return false;
      const share = bound === "project" ? bytes : Math.min(bytes, STEP_BYTES);
      const keepBytes = Math.max(0, Math.floor(storedNow(from) - share));
      const { removed, isBusy } = await store.deleteOldestEnded(from, keepBytes, BATCH);
      if (isBusy) await pause(BUSY_WAIT_MS);
      else if (removed === 0) {
        spent.add(from);
        continue;
      }
      if (removed > 0) {
        metrics.removed(from, removed);
        log.info({ project: from, removed, bound }, "ended executions forgotten to make room");
      }
      // A count that is under way may have begun before the deletion, so a new count follows it.
      await reading?.catch(() => undefined);
      await read();
      return true;
    }
  };
  const pause = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

  /**
   * Runs one removal at a time. Resolves to false when no removal would help. A call during a removal waits
   * for that removal and resolves to true, so that its caller checks the limits again.
   */
  const remove = async (excess: Excess, project: string): Promise<boolean> => {
    if (removing) {
      await removing.catch(() => undefined);
      return true;
    }
    removing = removeSome(excess, project).finally(() => {
      removing = undefined;
    });
    const helped = await removing;
    // SQLite blocks the process while it deletes a batch, so the router does other work between batches.
    await new Promise<void>((resolve) => setImmediate(resolve));
    return helped;
  };

  const limitsOf = async (project: string, bytes: number): Promise<StorageLimits> => {
    if (bytes < LOWEST_LIMIT_BYTES) return { project: undefined, ...total };
    // When the project file is gone or the pool-manager cannot be reached, the project's limit is unknown,
    // and only the limit of all projects applies.
    const known = await projects.get(project).catch(() => undefined);
    return { project: known?.limits?.storedBytes, ...total };
  };

  const mayStartNow = (project: string) =>
    mayStart(project, { started, stored, limits: { project: projectLimits.get(project), ...total } });

  /**
   * Counts the stored bytes again, once a second, because executions write after they were accepted. Deletes
   * ended executions where a limit is exceeded, and lets waiting executions start when there is space.
   */
  const look = async () => {
    try {
      await read();
      for (const [project, bytes] of stored) {
        const limits = await limitsOf(project, bytes);
        for (;;) {
          const excess = excessOf(stored, project, 0, limits);
          if (!excess || !(await remove(excess, project))) break;
        }
        projectLimits.set(project, limits.project ?? Number.POSITIVE_INFINITY);
      }
      for (const project of projectLimits.keys()) if (!stored.has(project)) projectLimits.delete(project);
      for (const waiting of waitingToStart) if (mayStartNow(waiting.project)) waiting.start();
    } catch (error) {
      log.warn({ err: error }, "what is stored was not counted");
    }
  };
  const stopLooking = repeat(LOOK_EVERY_MS, look, clock);

  return {
    async reserve(project, limitBytes, bytes, isWanted) {
      const lowest = Math.min(limitBytes ?? totalBytes, totalBytes);
      if (bytes > lowest) throw neverFits(bytes, lowest);
      if (clock.monotonicMs() - readAtMs > FRESH_MS) await read();
      let isCountedAgain = false;
      for (;;) {
        const limits = { project: limitBytes, ...total };
        const excess = excessOf(usage, project, bytes, limits);
        if (!excess) break;
        if (isWanted && !(await isWanted())) return undefined;
        if (!(await remove(excess, project))) {
          const still = excessOf(usage, project, bytes, limits);
          // Before the refusal the executions are counted anew, because some may have ended since the last count.
          if (still && isCountedAgain) throw storageFull(still, project, bytes, usage, limits);
          if (still) await read();
          isCountedAgain = true;
        }
      }
      const reservation: Reserved = { project, bytes, isUsed: false };
      reserved.add(reservation);
      add(reservation);
      return {
        used() {
          reservation.isUsed = true;
        },
        giveBack() {
          if (reserved.delete(reservation)) add({ project, bytes: -bytes });
        },
      };
    },
    mayStart: mayStartNow,
    async awaitStart(project, signal) {
      if (signal.aborted || mayStartNow(project)) return;
      log.info({ project }, "no room to start an execution: what is under way has to end first");
      await new Promise<void>((resolve) => {
        const start = () => {
          waitingToStart.delete(waiting);
          signal.removeEventListener("abort", start);
          resolve();
        };
        const waiting = { project, start };
        waitingToStart.add(waiting);
        signal.addEventListener("abort", start, { once: true });
      });
    },
    stop: stopLooking,
  };
}

function toMb(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}

function createStorageMetrics(registry: Registry, stored: () => ReadonlyMap<string, number>) {
  const registers = [registry];
  const labelNames = ["project"] as const;
  new Gauge({
    name: "airlock_stored_bytes",
    help: "What the executions of a project store, ended or not; the same at each router.",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [project, bytes] of stored()) this.set({ project }, bytes);
    },
  });
  const removed = new Counter({
    name: "airlock_executions_removed_total",
    help: "Ended executions that were forgotten before their time, to make room.",
    labelNames,
    registers,
  });
  return { removed: (project: string, count: number) => removed.inc({ project }, count) };
}
