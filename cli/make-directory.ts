import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";

/**
 * Makes a directory, and missing ones above it, for this user only. The `recursive` option of Node's `mkdir`
 * is not used, because it never ends where the system reports ENOENT for a new directory, as in /proc.
 */
export async function makeDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) await makeDirectory(above);
  await mkdir(path, { mode: 0o700 });
}

/** Makes a directory as `makeDirectory` does. Rejects with a ConfigError that says why it cannot be made. */
export async function neededDirectory(path: string): Promise<void> {
  await makeDirectory(path).catch((error: unknown) => {
    throw new ConfigError([`The directory ${path} cannot be made: ${systemReason(error)}.`]);
  });
}
