import { AirlockError } from "#common/errors.ts";

const MIB = 1024 * 1024;
// The space, beyond the bytes that must stay free, that a pending execution needs to start on a nearly full disk.
// For a project whose running and paused executions store its share or more.
const START_ROOM = 128 * MIB;
// The space that a pending execution of any other project needs to start on a nearly full disk.
const LEAST_START_ROOM = 32 * MIB;
// The part of a limit that is kept free. A removal frees at least this much, so that not every submission
// needs a removal. The last twentieth of the total limit is open only to projects that store less than their
// share.
const KEPT_FREE = 0.05;

/** Numbers of stored bytes, by project name. */
export type Usage = ReadonlyMap<string, number>;

/** The limits of stored bytes. */
export type StorageLimits = {
  /** The project's own limit in bytes; undefined: the limit is not known and not applied. */
  readonly project: number | undefined;
  /**
   * The bytes that all projects may store together. Negative when other programs fill the disk so far that
   * deleting everything stored would not free enough.
   */
  readonly total: number;
  /** Set when the disk has less space than AIRLOCK_DISK_MB, so that the disk limits the total. */
  readonly disk?: {
    /** The free bytes of the disk. */
    readonly freeBytes: number;
    /** How many of the free bytes must stay free. */
    readonly keptFreeBytes: number;
  };
};

/** A limit that would be exceeded, and how many bytes must be removed before something is stored. */
export type Excess = {
  /**
   * The name of the limit: `project` for the project's own limit, `total` for the limit of all projects
   * together.
   */
  readonly bound: "project" | "total";
  /** The bytes to remove so that the next submissions need no removal. */
  readonly bytes: number;
  /** The bytes that must be removed at least, so that the limit is kept. */
  readonly leastBytes: number;
};

/**
 * Computes how much must be removed before `project` may store `bytes` more; undefined when nothing. A
 * project's share is the total limit divided by the number of projects that store anything. A project that
 * stores its share or more may not use the last twentieth of the total, so that a flood of submissions leaves
 * space for other projects.
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

/** The figures, in bytes, that decide whether a pending execution may start. */
export type StartBounds = {
  /** Bytes that running and paused executions store, by project. */
  readonly started: Usage;
  /** Bytes that all executions store, by project. */
  readonly stored: Usage;
  readonly limits: StorageLimits;
};

/**
 * Whether a pending execution of `project` may start. It may not while the running and paused executions of
 * the project store more than the project's limit. It may not while the disk has little free space either,
 * because running scripts may still write. A project whose running and paused executions store its share or
 * more must wait earlier than others.
 */
export function mayStart(project: string, { started, stored, limits }: StartBounds): boolean {
  const own = started.get(project) ?? 0;
  const all = bytesOf(started);
  if (limits.project !== undefined && own > limits.project) return false;
  const hasShare = own > 0 && own >= all / started.size;
  if (!limits.disk) return all <= limits.total || !hasShare;
  const room = limits.total - bytesOf(stored);
  // When no execution runs or is paused, none will end and free space. So a pending execution may then use a
  // part of the space that is kept free.
  if (all === 0) return room > -LEAST_START_ROOM;
  return room > (hasShare ? START_ROOM : LEAST_START_ROOM);
}

/** The sum of the bytes of all projects. */
export function bytesOf(usage: Usage): number {
  let sum = 0;
  for (const bytes of usage.values()) sum += bytes;
  return sum;
}

/**
 * The project that stores most, whose ended executions are removed first; undefined when `except` contains
 * every project that stores anything.
 */
export function largestOf(usage: Usage, except: ReadonlySet<string>): string | undefined {
  let largest: string | undefined;
  for (const [project, bytes] of usage) {
    if (!except.has(project) && bytes > (usage.get(largest ?? "") ?? 0)) largest = project;
  }
  return largest;
}

/**
 * The error that refuses a submission of `bytes` bytes, because no space is left and no ended execution can
 * be removed.
 */
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

/** The error that refuses a submission that is larger than the whole limit, so that no removal would help. */
export function neverFits(bytes: number, limitBytes: number): AirlockError {
  return new AirlockError(
    "payload_too_large",
    `Code, settings and memory of this request take ${inMb(bytes)} MB, and no more than ${inMb(limitBytes)} MB may be stored. Send less, or let the script fetch the data itself.`,
  );
}

function inMb(bytes: number): string {
  return String(Math.round((bytes / MIB) * 10) / 10);
}
