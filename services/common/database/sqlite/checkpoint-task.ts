import { DatabaseSync } from "node:sqlite";
import type { Task } from "../../event-loop/background-thread.ts";

/**
 * Writes the write-ahead log into the database file, on the background thread of `startCheckpoints`. PASSIVE:
 * writers and readers never wait for it.
 */
export default function checkpoint({ input: path }: Task<string>): void {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA wal_checkpoint(PASSIVE)");
  } finally {
    db.close();
  }
}
