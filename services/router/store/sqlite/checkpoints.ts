import type { DatabaseSync } from "node:sqlite";
import { createBackgroundThread } from "#common/event-loop/background-thread.ts";

const LOOK_MS = 200;
/** Four megabytes, as much as SQLite's own checkpoints begin at. */
const PAGES = 1_000;
/** Where the thread does not keep up, or is not there, SQLite does it within a statement, 64 megabytes at a time. */
export const PAGES_WITHOUT_THREAD = 16_384;

/**
 * Moves what was written from the write-ahead log into the database file, on another thread: a checkpoint waits for the
 * disk, and in a statement it would hold the event loop up for 20 ms and more. Resolves `stop()` when none goes on.
 */
export function startCheckpoints(db: DatabaseSync, path: string): { stop(): Promise<void> } {
  // NOOP only says how many pages the log has (https://sqlite.org/pragma.html#pragma_wal_checkpoint).
  const look = db.prepare("PRAGMA wal_checkpoint(NOOP)");
  const thread = createBackgroundThread<string, void>(new URL("./checkpoint-task.ts", import.meta.url));
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    if (running) return;
    const { log, checkpointed } = look.get() as { log: number; checkpointed: number };
    if (log - checkpointed < PAGES) return;
    // One that fails, on a full disk, is tried again; the log is complete without it.
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
