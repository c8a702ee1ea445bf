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
  /**
   * A file that occupies disk space, which small statements can use when the disk is full. Empty until its
   * first `refill`.
   */
  readonly reserve: Reserve;
  /** Runs `work` in a transaction. When `work` throws, all its changes are undone. */
  inTransaction<Result>(work: () => Result): Result;
  close(): Promise<void>;
};

/**
 * Opens a service's SQLite file, creates it and its directory when they are missing, and applies missing
 * migrations. Commits survive the death of the process; a power cut may lose the commits of the last moments
 * (docs/decisions/0001). Throws when the file cannot be used, or when another process has it open.
 */
export function openSqliteFile(path: string, tables: ServiceTables): SqliteFile {
  mkdirSync(dirname(path), { recursive: true });
  // The file is created with mode 0600 before SQLite opens it, because other users must not read its data.
  // SQLite gives the same mode to the files that it creates beside it.
  closeSync(openSync(path, "a", 0o600));
  // The reserve is opened first, because on a full disk all steps below need its space, even the journal of
  // the lock file.
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

/** Undoes the open transaction; does nothing when there is none. */
export function rollBack(db: DatabaseSync): void {
  // On a full disk SQLite has undone the transaction already. Another ROLLBACK would then fail, and its error
  // would hide the cause.
  if (db.isTransaction) db.exec("ROLLBACK");
}

/**
 * Locks the file at `path`, so that no second process opens the database. Throws when another process still
 * holds the lock after 2 s. The kernel releases the lock when the process ends, however it ends.
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

/**
 * Applies missing migrations, each in a transaction. The database stores the number of the last applied one
 * in `PRAGMA user_version`. Throws a ConfigError when a newer Airlock has written the database.
 */
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
