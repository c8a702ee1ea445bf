import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ConfigError } from "../../service/environment.ts";
import { readMigrations } from "../migrations.ts";
import type { ServiceTables } from "../tables.ts";
import { PAGES_WITHOUT_THREAD, startCheckpoints } from "./checkpoints.ts";
import { openReserve, type Reserve } from "./reserve.ts";

/** An open SQLite file, which belongs to this process alone. */
export type SqliteFile = {
  readonly db: DatabaseSync;
  /** Space on the disk for small statements, for when the disk is full. Empty until its first `refill`. */
  readonly reserve: Reserve;
  /** Runs `work` in a transaction, and keeps all its changes or none: none when it throws. */
  inTransaction<Result>(work: () => Result): Result;
  close(): Promise<void>;
};

/**
 * Opens a service's SQLite file, makes it and its directory when they are missing, and applies missing
 * migrations. Commits survive the death of the process; a power cut may lose the last moments
 * (docs/decisions/0001). Throws when the file cannot be used, or another process has it open.
 */
export function openSqliteFile(path: string, tables: ServiceTables): SqliteFile {
  mkdirSync(dirname(path), { recursive: true });
  // SQLite gives its other files the mode of this one. Other users must not read what it holds.
  closeSync(openSync(path, "a", 0o600));
  // The reserve comes first, because on a full disk all steps below need its space, the lock's journal too.
  const reserve = openReserve(`${path}-reserve`);
  const lock = reserve.use(() => lockFile(`${path}-lock`));
  const db = new DatabaseSync(path);
  const prepareFile = () =>
    db.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = ${PAGES_WITHOUT_THREAD}`,
    );
  const closeAll = () => {
    db.close();
    reserve.close();
    lock.close();
  };
  try {
    reserve.use(prepareFile);
    reserve.use(() => migrate(db, path, tables.migrations));
  } catch (error) {
    closeAll();
    throw error;
  }
  const checkpoints = startCheckpoints(db, path);
  return {
    db,
    reserve,
    inTransaction(work) {
      db.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        db.exec("COMMIT");
        return result;
      } catch (cause) {
        rollBack(db);
        throw cause;
      }
    },
    async close() {
      await checkpoints.stop();
      closeAll();
    },
  };
}

/** Ends an open transaction without its changes. */
export function rollBack(db: DatabaseSync): void {
  // On a full disk SQLite has rolled back already, and another ROLLBACK would hide the cause.
  if (db.isTransaction) db.exec("ROLLBACK");
}

/**
 * Keeps a second process from opening the file. The kernel releases the lock when the process ends, however
 * it ends.
 */
function lockFile(path: string): DatabaseSync {
  closeSync(openSync(path, "a", 0o600));
  const lock = new DatabaseSync(path);
  try {
    lock.exec("PRAGMA busy_timeout = 2000; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Applies missing migrations, each in a transaction. The file stores the number of its last one. */
function migrate(db: DatabaseSync, path: string, directory: string): void {
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  const migrations = readMigrations(directory, "sqlite");
  if (version > migrations.length) {
    throw new ConfigError([
      `The database ${path} was written by a newer Airlock (schema ${version}), and this Airlock knows ${migrations.length}. Start the newer Airlock, or use another data directory.`,
    ]);
  }
  migrations.slice(version).forEach(({ sql }, index) => {
    db.exec(`BEGIN; ${sql}\n; PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  });
}
