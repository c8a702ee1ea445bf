import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { validate as isUuid } from "uuid";
import { removeTree } from "#common/remove-tree.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { repeat } from "#common/resilience/repeat.ts";
import type { Log } from "#common/service/log.ts";
import { isServed } from "#common/service/unix-socket.ts";

// Milliseconds between two looks for workers that have ended. Workers exit within seconds after the process
// that started them.
const LOOK_EVERY_MS = 500;

/**
 * Removes the directories that workers of a killed pool-manager left in the run directory, each when no
 * process serves the Unix socket in it any more. Must be called before a worker is started. Resolves to a
 * function that stops the removal.
 */
export async function removeLeftovers(runDirectory: string, log: Log): Promise<() => Promise<void>> {
  const found = await readdir(runDirectory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const left = new Set(found.filter((name) => isUuid(name)));
  const look = async () => {
    for (const workerId of left) {
      const directory = join(runDirectory, workerId);
      if (await isServed(join(directory, "worker.sock"))) continue;
      left.delete(workerId);
      await removeTree(directory).catch((error: unknown) =>
        log.error({ err: error, workerId }, "the directory of a worker could not be removed"),
      );
    }
  };
  return left.size > 0 ? repeat(LOOK_EVERY_MS, look, systemClock) : async () => undefined;
}
