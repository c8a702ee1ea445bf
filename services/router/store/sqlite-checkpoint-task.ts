import { DatabaseSync } from "node:sqlite";

/** What the other thread does for `startCheckpoints`. PASSIVE: writers and readers never wait for it. */
export default function checkpoint(path: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA wal_checkpoint(PASSIVE)");
  } finally {
    db.close();
  }
}
