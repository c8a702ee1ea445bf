import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";

/** A data directory that is this process's alone until `release`, or until the process ends, however it ends. */
export type DataDirectoryLock = {
  /** Tells an Airlock that is started now that this one is about to end, once its runs have had `graceMs`. */
  markStopping(graceMs: number): Promise<void>;
  release(): void;
};

type Holder = {
  readonly pid: number;
  readonly host: string;
  readonly stopping: boolean;
  /** How long its runs may go on. */
  readonly graceMs: number;
};

const POLL_MS = 100;
// One that was told to stop a moment ago has not said so yet.
const RUNNING_WAIT_MS = 2_000;
// Longer than workers and services take to end once the runs have had their time.
const ENDING_MS = 20_000;
const SQLITE_BUSY = 5;

/**
 * Takes the lock. Waits for an Airlock that stops, and says so with `tell`. Throws a ConfigError when another one goes on
 * using the directory.
 */
export async function lockDataDirectory(
  directory: string,
  tell: (sentence: string) => void,
): Promise<DataDirectoryLock> {
  const path = join(directory, "lock");
  const holderPath = join(directory, "lock-holder.json");
  const say = async (stopping: boolean, graceMs = 0) => {
    const holder: Holder = { pid: process.pid, host: hostname(), stopping, graceMs };
    // It only explains: a full disk must not keep anybody from starting or ending.
    await writeFile(holderPath, JSON.stringify(holder), { mode: 0o600 }).catch(() => undefined);
  };
  const startedMs = performance.now();
  let isTold = false;
  let database = tryToLock(path);
  while (!database) {
    const holder = await readHolder(holderPath);
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > (holder?.stopping ? stoppingWaitMs(holder) : RUNNING_WAIT_MS)) throw inUse(holder);
    if (holder?.stopping && !isTold) {
      tell(`Another Airlock${nameOf(holder)} is stopping in this data directory; waiting for it to end.`);
      isTold = true;
    }
    await sleep(POLL_MS);
    database = tryToLock(path);
  }
  await say(false);
  return { markStopping: (graceMs) => say(true, graceMs), release: () => database.close() };
}

/**
 * By SQLite, since Node has no flock: the kernel lets go of its locks when the process ends, and a process id that is used
 * again means nothing. Nothing else in this process may open the file: closing it would end the lock.
 */
function tryToLock(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    // Whoever may read the file could hold it, too.
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
