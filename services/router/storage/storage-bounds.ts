import { AirlockError } from "#common/errors.ts";

const MIB = 1024 * 1024;
// Room on a scarce disk with which a pending execution starts: of a project that has its share, and of others.
const START_ROOM = 128 * MIB;
const LEAST_START_ROOM = 32 * MIB;
// So much is free after a removal, so that not each submission needs one; of the whole deployment, the last twentieth is
// for projects that store less than their share.
const KEPT_FREE = 0.05;

/** Bytes that each project stores. */
export type Usage = ReadonlyMap<string, number>;

/** In bytes. `project` is undefined when the project's own limit is not known. */
export type StorageLimits = {
  readonly project: number | undefined;
  readonly total: number;
  /** Set where the total is less than AIRLOCK_DISK_MB because the disk has room for no more: what it has free, and keeps free. */
  readonly disk?: { readonly freeBytes: number; readonly keptFreeBytes: number };
};

/**
 * A bound that would be exceeded, and how many bytes have to go: `bytes` so that there is room for a while, `leastBytes` so
 * that the bound is kept at all.
 */
export type Excess = {
  readonly bound: "project" | "total";
  readonly bytes: number;
  readonly leastBytes: number;
};

/**
 * What has to go before `project` may store `bytes` more; undefined: nothing. A project that has its share of the whole
 * or more (the total divided by the projects that store something) meets the total bound a twentieth earlier than others, so
 * that a flood leaves room for them.
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
  const open = own > limits.total / projects ? limits.total * (1 - KEPT_FREE) : limits.total;
  if (total <= open) return undefined;
  return { bound: "total", bytes: total - limits.total * (1 - 2 * KEPT_FREE), leastBytes: total - open };
}

/** What decides whether a pending execution may start, in bytes. */
export type StartBounds = {
  /** What has started and not ended stores, by project. */
  readonly started: Usage;
  readonly stored: Usage;
  readonly limits: StorageLimits;
};

/**
 * Whether a pending execution of `project` may start: not while what the project has under way stores more than the project
 * may, and not on a disk that has little room left, where scripts under way may still write. A project that has its share
 * of what is under way stops earlier than others.
 */
export function mayStart(project: string, { started, stored, limits }: StartBounds): boolean {
  const own = started.get(project) ?? 0;
  const all = bytesOf(started);
  if (limits.project !== undefined && own > limits.project) return false;
  const hasShare = own > 0 && own >= all / started.size;
  if (!limits.disk) return all <= limits.total || !hasShare;
  const room = limits.total - bytesOf(stored);
  // With nothing under way nothing will end either; what waits may use a part of what is kept free.
  if (all === 0) return room > -LEAST_START_ROOM;
  return room > (hasShare ? START_ROOM : LEAST_START_ROOM);
}

/** What all of them store together. */
export function bytesOf(usage: Usage): number {
  let sum = 0;
  for (const bytes of usage.values()) sum += bytes;
  return sum;
}

/** The project that stores most, which gives way when all together store too much; undefined: there is none but `except`. */
export function largestOf(usage: Usage, except: ReadonlySet<string>): string | undefined {
  let largest: string | undefined;
  for (const [project, bytes] of usage) {
    if (!except.has(project) && bytes > (usage.get(largest ?? "") ?? 0)) largest = project;
  }
  return largest;
}

/** The refusal of `bytes` more, when nothing that has ended is left to be forgotten. */
export function storageFull(
  { bound }: Excess,
  project: string,
  bytes: number,
  usage: Usage,
  limits: StorageLimits,
): AirlockError {
  if (bound === "total" && limits.disk) return diskTooFull(bytes, usage, limits.disk);
  const own = inMb(usage.get(project) ?? 0);
  const reason =
    bound === "project"
      ? `Project "${project}" stores ${own} MB and its limit is ${inMb(limits.project ?? 0)} MB (limits: stored_mb)`
      : `All projects together store ${inMb(bytesOf(usage))} MB and their limit is ${inMb(limits.total)} MB (AIRLOCK_DISK_MB); ${own} MB are of project "${project}"`;
  return new AirlockError(
    "storage_full",
    `${reason}, so there is no room for the ${inMb(bytes)} MB of this request: all of it is of executions that have not ended. Wait for some to end or cancel them, then submit again.`,
  );
}

function diskTooFull(
  bytes: number,
  usage: Usage,
  { freeBytes, keptFreeBytes }: NonNullable<StorageLimits["disk"]>,
): AirlockError {
  const stored = bytesOf(usage);
  const help =
    stored === 0
      ? "No execution is stored whose end would help: the operator has to make room on that disk."
      : `The executions that have not ended store ${inMb(stored)} MB: wait for some to end or cancel them, or let the operator make room on that disk; then submit again.`;
  return new AirlockError(
    "storage_full",
    `The disk of Airlock's database has ${inMb(freeBytes)} MB free and Airlock leaves ${inMb(keptFreeBytes)} MB of it free, so there is no room for the ${inMb(bytes)} MB of this request. ${help}`,
  );
}

/** The refusal of a request that does not fit even where nothing is stored. */
export function neverFits(bytes: number, limitBytes: number): AirlockError {
  return new AirlockError(
    "payload_too_large",
    `Code, settings and memory of this request take ${inMb(bytes)} MB, and no more than ${inMb(limitBytes)} MB may be stored. Send less, or let the script fetch the data itself.`,
  );
}

function inMb(bytes: number): string {
  return String(Math.round((bytes / MIB) * 10) / 10);
}
