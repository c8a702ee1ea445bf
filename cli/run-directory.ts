import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "../services/common/environment.ts";
import { removeTree } from "../services/common/remove-tree.ts";
import { isServed } from "../services/common/unix-socket.ts";

/**
 * Takes the run directory for this process and empties it of what a killed one left. Throws a ConfigError when
 * another Airlock uses it, or when somebody else made it.
 */
export async function claimRunDirectory(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const { uid, mode } = await lstat(directory);
  const isOurs = (await lstat(directory)).isDirectory() && uid === process.getuid?.() && (mode & 0o077) === 0;
  if (!isOurs) {
    throw new ConfigError([
      `${directory} belongs to somebody else or is open to others; remove it and start again.`,
    ]);
  }
  if (await isServed(join(directory, "router.sock"))) {
    throw new ConfigError([
      "Another Airlock already uses this data directory; stop it, or give this one its own with --data DIR.",
    ]);
  }
  await removeTree(directory).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError([`${directory} cannot be emptied (${error.code}); remove it and start again.`]);
  });
  await mkdir(directory, { mode: 0o700 });
}
