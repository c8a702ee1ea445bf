import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";

/** The exclusive use of a data directory, until `release` or until the process ends in any way. */
export type DataDirectoryLock = {
  /**
   * Records that this process is stopping and gives its runs `graceMs`, so that an Airlock that is started
   * now waits for it.
   */
  markStopping(graceMs: number): Promise<void>;
  release(): void;
};

type Holder = {
  readonly pid: number;
  readonly host: string;
  readonly stopping: boolean;
  /** Milliseconds that the stopping process gives its runs. */
  readonly graceMs: number;
};

const POLL_MS = 100;
// Milliseconds to wait for the lock when the Airlock that has it has not marked itself as stopping, because
// it may do so in a moment.
const RUNNING_WAIT_MS = 2_000;
// Milliseconds to wait in addition to the grace time of a stopping Airlock, because its workers and services
// take some time to end after its runs.
const ENDING_MS = 20_000;
const SQLITE_BUSY = 5;

/**
 * Takes the lock of a data directory. Waits for another Airlock that is stopping, and reports that with
 * `report`. Throws a ConfigError when another Airlock keeps using the directory.
 */
export async function lockDataDirectory(
  directory: string,
  report: (sentence: string) => void,
): Promise<DataDirectoryLock> {
  const path = join(directory, "lock");
  const holderPath = join(directory, "lock-holder.json");
  const say = async (stopping: boolean, graceMs = 0) => {
    const holder: Holder = { pid: process.pid, host: hostname(), stopping, graceMs };
    // The file only explains who holds the lock. A failed write is ignored, because a full disk must not
    // prevent a start or a stop.
    await writeFile(holderPath, JSON.stringify(holder), { mode: 0o600 }).catch(() => undefined);
  };
  const startedMs = performance.now();
  let isReported = false;
  let database = tryToLock(path);
  while (!database) {
    const holder = await readHolder(holderPath);
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > (holder?.stopping ? stoppingWaitMs(holder) : RUNNING_WAIT_MS)) throw inUse(holder);
    if (holder?.stopping && !isReported) {
      report(`Another Airlock${nameOf(holder)} is stopping in this data directory; waiting for it to end.`);
      isReported = true;
    }
    await sleep(POLL_MS);
    database = tryToLock(path);
  }
  await say(false);
  return { markStopping: (graceMs) => say(true, graceMs), release: () => database.close() };
}

/**
 * Takes the lock; undefined when another process has it. The lock is SQLite's, because Node has no flock. The
 * kernel releases it when the process ends, so a reused process id does no harm. No other code in this
 * process may open the file, because closing it would release the lock.
 */
function tryToLock(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    // The file gets mode 0600, because any user who can read it could lock it.
    closeSync(openSync(path, "a", 0o600));
    database = new DatabaseSync(path);
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    const { errcode, errstr } = error as { errcode?: number; errstr?: string };
    if (errcode === SQLITE_BUSY) return undefined;
    throw new ConfigError([
      `The data directory cannot be locked: ${path} (${errstr ?? systemReason(error)}). Let this user write there, or name another directory with --data DIR.`,
    ]);
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const { pid, host, stopping, graceMs } = JSON.parse(await readFile(path, "utf8"));
    if (!Number.isInteger(pid)) return undefined;
    return { pid, host: String(host), stopping: stopping === true, graceMs: Number(graceMs) || 0 };
  } catch {
    return undefined;
  }
}

function stoppingWaitMs({ graceMs }: Holder): number {
  return graceMs + ENDING_MS;
}

function nameOf(holder: Holder | undefined): string {
  if (!holder) return "";
  return ` (process ${holder.pid}${holder.host === hostname() ? "" : ` on ${holder.host}`})`;
}

function inUse(holder: Holder | undefined): ConfigError {
  return new ConfigError([
    holder?.stopping
      ? `Another Airlock${nameOf(holder)} has not ended after ${stoppingWaitMs(holder) / 1_000} s; end it with kill -KILL, or give this one its own data directory with --data DIR.`
      : `Another Airlock${nameOf(holder)} already uses this data directory; stop it, or give this one its own with --data DIR.`,
  ]);
}
