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
// A count that is older than this is read again before it decides anything, because the database was away.
const FRESH_MS = 5_000;
// Rows of one removal; few enough that a submission never waits long for it.
const BATCH = 100;
// Bytes that are removed from the largest project before the largest project is determined again.
const STEP_BYTES = 64 * 1024 * 1024;
const BUSY_WAIT_MS = 50;
// The lowest limit that a project file may have, so a project that stores less needs no look at its file.
const LOWEST_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Keeps the stored bytes within the bounds of each project and of the deployment, by removing the oldest ended
 * executions.
 */
export type Storage = {
  /**
   * Reserves room for a submission of so many bytes, and removes the oldest ended executions if it must. Rejects with
   * `storage_full` when none is left to remove, and with `payload_too_large` when the submission would never fit.
   */
  reserve(project: string, limitBytes: number | undefined, bytes: number): Promise<Reservation>;
  /** Whether a pending execution of the project may start now. */
  mayStart(project: string): boolean;
  /** Resolves when a pending execution of the project may start, or when `signal` aborts. */
  awaitStart(project: string, signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
};

/** Room for one submission; it counts as stored until the database counts it. */
export type Reservation = {
  /** The submission is stored. */
  used(): void;
  /** The submission was not stored and will not be. */
  giveBack(): void;
};

type Reserved = { readonly project: string; readonly bytes: number; isUsed: boolean };

export function startStorage(parts: {
  readonly store: ExecutionStore;
  readonly projects: ProjectDirectory;
  /** The most that all projects may store together, in bytes. */
  readonly totalBytes: number;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
}): Storage {
  const { store, projects, totalBytes, clock, log } = parts;
  const metrics = createStorageMetrics(parts.registry, () => stored);
  const reserved = new Set<Reserved>();
  // Bytes by project: as the database counted them last, and with the reservations added.
  let stored = new Map<string, number>();
  let usage = new Map<string, number>();
  let started = new Map<string, number>();
  // Bytes of ended executions, and the limits of projects whose started executions stored much at the last count.
  let endedBytes = 0;
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

  /** Stored bytes of a project: the last count of the database, and what was stored since. */
  const storedNow = (project: string) => {
    const since = [...reserved].filter((each) => each.isUsed && each.project === project);
    return since.reduce((sum, { bytes }) => sum + bytes, stored.get(project) ?? 0);
  };

  /**
   * Whether a project stores, with what is reserved, no more than the total divided by the projects that store
   * something.
   */
  const isWithinShare = (project: string) =>
    (usage.get(project) ?? 0) * Math.max(1, usage.size) <= total.total;

  /** Removes some ended executions. Resolves to false when no removal would help. */
  const removeSome = async ({ bound, bytes, leastBytes }: Excess, project: string): Promise<boolean> => {
    // Executions of other projects are not removed when that would not make enough room.
    if (bound === "total" && endedBytes < leastBytes) return false;
    const spent = new Set<string>();
    for (;;) {
      const from = bound === "project" ? project : largestOf(stored, spent);
      if (from === undefined || spent.has(from)) return false;
      // A project beyond its share gets no room from a project within its share.
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
      // A count that began before the removal does not include it.
      await reading?.catch(() => undefined);
      await read();
      return true;
    }
  };
  const pause = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

  /** Runs one removal at a time. A submission that comes meanwhile checks the bounds again after it. */
  const remove = async (excess: Excess, project: string): Promise<boolean> => {
    if (removing) {
      await removing.catch(() => undefined);
      return true;
    }
    removing = removeSome(excess, project).finally(() => {
      removing = undefined;
    });
    const helped = await removing;
    // SQLite removes a batch without a break, so other work of this process gets a turn between batches.
    await new Promise<void>((resolve) => setImmediate(resolve));
    return helped;
  };

  const limitsOf = async (project: string, bytes: number): Promise<StorageLimits> => {
    if (bytes < LOWEST_LIMIT_BYTES) return { project: undefined, ...total };
    // When the project's file is removed or the pool-manager cannot be reached, only the total bound applies.
    const known = await projects.get(project).catch(() => undefined);
    return { project: known?.limits?.storedBytes, ...total };
  };

  const mayStartNow = (project: string) =>
    mayStart(project, { started, stored, limits: { project: projectLimits.get(project), ...total } });

  /** Counts the stored bytes again, because executions write after they were accepted. */
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
    async reserve(project, limitBytes, bytes) {
      const lowest = Math.min(limitBytes ?? totalBytes, totalBytes);
      if (bytes > lowest) throw neverFits(bytes, lowest);
      if (clock.monotonicMs() - readAtMs > FRESH_MS) await read();
      for (;;) {
        const limits = { project: limitBytes, ...total };
        const excess = excessOf(usage, project, bytes, limits);
        if (!excess) break;
        if (!(await remove(excess, project))) {
          const still = excessOf(usage, project, bytes, limits);
          if (still) throw storageFull(still, project, bytes, usage, limits);
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
