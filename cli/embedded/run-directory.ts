import type { Stats } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { removeTree } from "#common/remove-tree.ts";
import { ConfigError } from "#common/service/environment.ts";
import { isServed } from "#common/service/unix-socket.ts";
import { systemReason } from "#common/system-reason.ts";

/** An empty directory that only this process uses, for sockets and scratch files. */
export type RunDirectory = {
  readonly path: string;
  /** Removes the directory, unless another directory has its name by now. */
  remove(): Promise<void>;
};

/**
 * Makes an empty run directory, and removes files that a killed Airlock left there. The lock of the data
 * directory must be held. When another user owns the name, which is possible in a shared directory such as
 * /tmp, a longer random name is used. Throws a ConfigError when sockets in the directory are still served.
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

/** Run directories with a random suffix that an earlier Airlock of this user left when it was killed. */
async function leftBeside(directory: string): Promise<string[]> {
  const prefix = `${basename(directory)}-`;
  // The parent directory may not be listable, so an error means that nothing is found.
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

/**
 * Removes a run directory that an earlier Airlock left. The lock of the data directory should prove that no
 * Airlock uses it. Its sockets are checked all the same, because the lock is lost when the data directory is
 * removed while an Airlock runs. Throws a ConfigError when a socket is still served.
 */
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
