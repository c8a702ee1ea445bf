import type { DatabaseSync } from "node:sqlite";
import { createBackgroundThread } from "../../event-loop/background-thread.ts";

const LOOK_MS = 200;
/**
 * The number of pages in the write-ahead log at which a checkpoint begins: 4 MB, as for SQLite's own
 * checkpoints.
 */
const PAGES = 1_000;
/**
 * The number of pages in the write-ahead log (64 MB) at which SQLite itself makes a checkpoint within a
 * statement, in case the background thread is too slow or cannot start.
 */
export const PAGES_WITHOUT_THREAD = 16_384;

/**
 * Writes the write-ahead log into the database file (a checkpoint), on another thread, whenever the log has 4
 * MB. A checkpoint waits for the disk, and within a statement that wait would block the event loop for 20 ms
 * and more. `stop()` resolves when no checkpoint is running.
 */
export function startCheckpoints(db: DatabaseSync, path: string): { stop(): Promise<void> } {
  // With NOOP the statement makes no checkpoint and only reports how many pages the log has
  // (https://sqlite.org/pragma.html#pragma_wal_checkpoint).
  const look = db.prepare("PRAGMA wal_checkpoint(NOOP)");
  const thread = createBackgroundThread<string, void>(new URL("./checkpoint-task.ts", import.meta.url));
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    if (running) return;
    const { log, checkpointed } = look.get() as { log: number; checkpointed: number };
    if (log - checkpointed < PAGES) return;
    // A failed checkpoint, on a full disk for example, is tried again. No data is lost, because the log is
    // complete.
    running = thread
      .run(path)
      .catch(() => undefined)
      .finally(() => {
        running = undefined;
      });
  }, LOOK_MS);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
