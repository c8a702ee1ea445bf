import { AirlockError } from "../../errors.ts";

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
/** SQLite's error when the index of its log (the -shm file) cannot grow on a full disk. */
const SQLITE_IOERR_SHMSIZE = 4_874;

/**
 * Converts an error of SQLite to an AirlockError: `unavailable` when a later attempt may succeed, `internal`
 * otherwise.
 */
export function toDatabaseError(error: unknown): AirlockError {
  if (error instanceof AirlockError) return error;
  if (isFull(error)) return diskFull(error);
  if (codeOf(error) === SQLITE_BUSY) {
    const message = "The database was too busy to finish in time. Try again in a few seconds.";
    return new AirlockError("unavailable", message, { cause: error });
  }
  return new AirlockError(
    "internal",
    "The database refused a statement; the operator finds the reason in the log.",
    { cause: error },
  );
}

/**
 * The error for the caller: `unavailable` when `error` says that the disk is full, otherwise `error` itself.
 */
export function refusalOfFull(error: unknown): unknown {
  return isFull(error) ? diskFull(error) : error;
}

/** Whether an error says that the disk is full. */
export function isFull(error: unknown): boolean {
  const code = codeOf(error);
  return code === SQLITE_FULL || code === SQLITE_IOERR_SHMSIZE;
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Error ? (error as { errcode?: number }).errcode : undefined;
}

function diskFull(cause: unknown): AirlockError {
  return new AirlockError(
    "unavailable",
    "The disk of Airlock's database is full. Try again in a while; the operator has to make room.",
    { cause },
  );
}
