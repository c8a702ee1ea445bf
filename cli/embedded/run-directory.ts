import type { Stats } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { removeTree } from "#common/remove-tree.ts";
import { ConfigError } from "#common/service/environment.ts";
import { isServed } from "#common/service/unix-socket.ts";
import { systemReason } from "#common/system-reason.ts";

/** An empty directory of this process's own. */
export type RunDirectory = {
  readonly path: string;
  /** Removes it, unless another one has taken its place meanwhile. */
  remove(): Promise<void>;
};

/**
 * Takes the run directory and empties it of what a killed Airlock left; the lock of the data directory must be held. Where
 * another user made it first, which anybody may in a directory for temporary files, one with a longer name is taken.
 * Throws a ConfigError when sockets in it are served.
 */
export async function claimRunDirectory(directory: string): Promise<RunDirectory> {
  for (const left of await leftBeside(directory)) await empty(left);
  const found = await lstat(directory).catch(() => undefined);
  if (found && !isOurs(found)) return runDirectory(await mkdtemp(`${directory}-`));
  if (found) await empty(directory);
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return runDirectory(await mkdtemp(`${directory}-`));
  }
  return runDirectory(directory);
}

async function runDirectory(path: string): Promise<RunDirectory> {
  const { dev, ino } = await lstat(path);
  return {
    path,
    async remove() {
      const now = await lstat(path).catch(() => undefined);
      if (now?.dev === dev && now.ino === ino) await removeTree(path);
    },
  };
}

/** Those with a longer name that are ours. */
async function leftBeside(directory: string): Promise<string[]> {
  const prefix = `${basename(directory)}-`;
  // A directory for temporary files may be one that nobody may list.
  const all = await readdir(dirname(directory)).catch(() => []);
  const names = all.filter((name) => name.startsWith(prefix));
  const paths = names.map((name) => join(dirname(directory), name));
  const isLeft = await Promise.all(
    paths.map(async (path) => isOurs(await lstat(path).catch(() => undefined))),
  );
  return paths.filter((_, at) => isLeft[at]);
}

function isOurs(found: Stats | undefined): boolean {
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}

/** Removes it. The lock says that it is nobody's, but a data directory that was removed took its lock along. */
async function empty(directory: string): Promise<void> {
  const sockets = (await readdir(directory)).filter((name) => name.endsWith(".sock"));
  const served = await Promise.all(sockets.map((name) => isServed(join(directory, name))));
  if (served.includes(true)) {
    throw new ConfigError([
      `Another Airlock still serves the sockets in ${directory}; stop it, or give this one its own data directory with --data DIR.`,
    ]);
  }
  await removeTree(directory).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError([
      `${directory} cannot be emptied: ${systemReason(error)}; remove it and start again.`,
    ]);
  });
}
