import { AirlockError } from "#common/errors.ts";

const MIB = 1024 * 1024;
// Free bytes that a pending execution needs to start on a scarce disk: for a project that stores its share or more,
// and for the others.
const START_ROOM = 128 * MIB;
const LEAST_START_ROOM = 32 * MIB;
// A removal frees this part of the bound, so that not every submission needs a removal. The last twentieth of the
// total is kept for projects that store less than their share.
const KEPT_FREE = 0.05;

/** Stored bytes by project. */
export type Usage = ReadonlyMap<string, number>;

/** Bounds in bytes. `project` is undefined when the project's own limit is not known. */
export type StorageLimits = {
  readonly project: number | undefined;
  /**
   * The bytes that all projects may store together. Negative when the disk lacks more room than everything
   * that is stored takes.
   */
  readonly total: number;
  /**
   * Given when the disk has less room than AIRLOCK_DISK_MB, which lowers the total: its free bytes, and how many stay
   * free.
   */
  readonly disk?: { readonly freeBytes: number; readonly keptFreeBytes: number };
};

/**
 * A bound that would be exceeded, and how many bytes have to be removed: `leastBytes` to keep the bound, `bytes` to
 * leave room for the next submissions too.
 */
export type Excess = {
  readonly bound: "project" | "total";
  readonly bytes: number;
  readonly leastBytes: number;
};

/**
 * How much has to be removed before `project` may store `bytes` more; undefined when nothing has to. A project that
 * stores its share of the total or more (the total divided by the projects that store anything) meets the bound a
 * twentieth earlier, so that a flood leaves room for the others.
 */
export function excessOf(
  usage: Usage,
  project: string,
  bytes: number,
  limits: StorageLimits,
): Excess | undefined {
  const own = (usage.get(project) ?? 0) + bytes;
  if (limits.project !== undefined && own > limits.project) {
    const bytes = own - limits.project * (1 - KEPT_FREE);
    return { bound: "project", bytes, leastBytes: own - limits.project };
  }
  const total = bytesOf(usage) + bytes;
  const projects = usage.size + (usage.has(project) ? 0 : 1);
  const kept = Math.abs(limits.total) * KEPT_FREE;
  const open = own > limits.total / projects ? limits.total - kept : limits.total;
  if (total <= open) return undefined;
  return { bound: "total", bytes: total - limits.total + 2 * kept, leastBytes: total - open };
}

/** The figures that decide whether a pending execution may start, in bytes. */
export type StartBounds = {
  /** Bytes that started and unfinished executions store, by project. */
  readonly started: Usage;
  readonly stored: Usage;
  readonly limits: StorageLimits;
};

/**
 * Whether a pending execution of `project` may start. It may not while the project's started executions store more
 * than its limit, nor while the disk has little room, because started scripts may still write. A project whose
 * started executions store its share or more has to wait earlier.
 */
export function mayStart(project: string, { started, stored, limits }: StartBounds): boolean {
  const own = started.get(project) ?? 0;
  const all = bytesOf(started);
  if (limits.project !== undefined && own > limits.project) return false;
  const hasShare = own > 0 && own >= all / started.size;
  if (!limits.disk) return all <= limits.total || !hasShare;
  const room = limits.total - bytesOf(stored);
  // Without any started execution none will end and free room, so a pending one may use a part of what is kept free.
  if (all === 0) return room > -LEAST_START_ROOM;
  return room > (hasShare ? START_ROOM : LEAST_START_ROOM);
}

/** The sum over all projects. */
export function bytesOf(usage: Usage): number {
  let sum = 0;
  for (const bytes of usage.values()) sum += bytes;
  return sum;
}

/** The project that stores most, whose executions are removed first; undefined when every project is in `except`. */
export function largestOf(usage: Usage, except: ReadonlySet<string>): string | undefined {
  let largest: string | undefined;
  for (const [project, bytes] of usage) {
    if (!except.has(project) && bytes > (usage.get(largest ?? "") ?? 0)) largest = project;
  }
  return largest;
}

/** The refusal of a submission of `bytes` when no ended execution is left to be removed. */
export function storageFull(
  { bound }: Excess,
  project: string,
  bytes: number,
  usage: Usage,
  limits: StorageLimits,
): AirlockError {
  if (bound === "total" && limits.disk) return diskTooFull(bytes, usage, limits.total, limits.disk);
  const own = inMb(usage.get(project) ?? 0);
  const reason =
    bound === "project"
      ? `Project "${project}" stores ${own} MB and its limit is ${inMb(limits.project ?? 0)} MB (limits: stored_mb)`
      : `All projects together store ${inMb(bytesOf(usage))} MB and their limit is ${inMb(limits.total)} MB (AIRLOCK_DISK_MB); ${own} MB are of project "${project}"`;
  return new AirlockError(
    "storage_full",
    `${reason}, so there is no room for the ${inMb(bytes)} MB of this request: executions that have not ended take all of it. Wait for some to end or cancel them, then submit again.`,
  );
}

function diskTooFull(
  bytes: number,
  usage: Usage,
  totalBytes: number,
  { freeBytes, keptFreeBytes }: NonNullable<StorageLimits["disk"]>,
): AirlockError {
  const stored = bytesOf(usage);
  const isHopeless =
    stored === 0
      ? "No stored execution would free that room by ending"
      : bytes > totalBytes && "Forgetting all that is stored would not make that room";
  const help = isHopeless
    ? `${isHopeless}: the operator has to make room on that disk.`
    : `The executions that have not ended store ${inMb(stored)} MB: wait for some to end or cancel them, or let the operator make room on that disk; then submit again.`;
  return new AirlockError(
    "storage_full",
    `The disk of Airlock's database has ${inMb(freeBytes)} MB free and Airlock leaves ${inMb(keptFreeBytes)} MB of it free, so there is no room for the ${inMb(bytes)} MB of this request. ${help}`,
  );
}

/** The refusal of a request that is larger than the whole bound. */
export function neverFits(bytes: number, limitBytes: number): AirlockError {
  return new AirlockError(
    "payload_too_large",
    `Code, settings and memory of this request take ${inMb(bytes)} MB, and no more than ${inMb(limitBytes)} MB may be stored. Send less, or let the script fetch the data itself.`,
  );
}

function inMb(bytes: number): string {
  return String(Math.round((bytes / MIB) * 10) / 10);
}
