import { AirlockError } from "../common/errors.ts";

const MIB = 1024 * 1024;
// So much is free after a removal, so that not each submission needs one; of the whole deployment, the last twentieth is
// for projects that store less than their share.
const KEPT_FREE = 0.05;

/** Bytes that each project stores. */
export type Usage = ReadonlyMap<string, number>;

/** In bytes. `project` is undefined when the project's own limit is not known. */
export type StorageLimits = {
  readonly project: number | undefined;
  readonly total: number;
  /** The total is less than AIRLOCK_DISK_MB: the disk has room for no more. */
  readonly isOfDisk?: boolean;
};

/** A bound that would be exceeded, and how many bytes have to go before there is room again. */
export type Excess = { readonly bound: "project" | "total"; readonly bytes: number };

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
    return { bound: "project", bytes: own - limits.project * (1 - KEPT_FREE) };
  }
  const total = bytesOf(usage) + bytes;
  const projects = usage.size + (usage.has(project) ? 0 : 1);
  const open = own > limits.total / projects ? limits.total * (1 - KEPT_FREE) : limits.total;
  if (total <= open) return undefined;
  return { bound: "total", bytes: total - limits.total * (1 - 2 * KEPT_FREE) };
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
  const own = inMb(usage.get(project) ?? 0);
  const reason =
    bound === "project"
      ? `Project "${project}" stores ${own} MB and its limit is ${inMb(limits.project ?? 0)} MB (limits: stored_mb)`
      : `All projects together store ${inMb(bytesOf(usage))} MB and their limit is ${inMb(limits.total)} MB (${limits.isOfDisk ? "the disk has room for no more" : "AIRLOCK_DISK_MB"}); ${own} MB are of project "${project}"`;
  return new AirlockError(
    "storage_full",
    `${reason}, so there is no room for the ${inMb(bytes)} MB of this request: all of it is of executions that have not ended. Wait for some to end or cancel them, then submit again.`,
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
