import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { ConfigError } from "#common/service/environment.ts";

const KEY_BYTES = 32;

/**
 * The secret key from which versions of secret values are made, so that a version reveals nothing about the
 * values. The key is read from the file at `path`, or made and stored there. Because the key stays, the same
 * values keep their version after a restart, and the output of runs that outlive the restart can still be
 * redacted. Without `path`, the key ends with this process. Throws a ConfigError when the file holds no key.
 */
export async function readVersionKey(path: string | undefined): Promise<Buffer> {
  const fresh = randomBytes(KEY_BYTES);
  if (path === undefined) return fresh;
  try {
    await writeFile(path, fresh.toString("hex"), { mode: 0o600, flag: "wx" });
    return fresh;
  } catch {
    // The file exists already, and its key is used. This service may be allowed to read the file and not to
    // write it.
    const key = Buffer.from((await readFile(path, "utf8")).trim(), "hex");
    if (key.length === KEY_BYTES) return key;
    throw new ConfigError([`${path} contains no key; remove the file, and the next start makes one.`]);
  }
}
