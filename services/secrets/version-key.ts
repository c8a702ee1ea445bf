import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { ConfigError } from "#common/service/environment.ts";

const KEY_BYTES = 32;

/**
 * The secret key from which versions of secret values are made, so that a version reveals nothing about the
 * values. The key is read from the file at `path`, or made and stored there. Then the same values keep their
 * version after a restart, so that runs which outlive the restart can still have their output redacted.
 * Without `path`, the key ends with this process. Throws a ConfigError when the file holds no key.
 */
export async function readVersionKey(path: string | undefined): Promise<Buffer> {
  const fresh = randomBytes(KEY_BYTES);
  if (path === undefined) return fresh;
  try {
    await writeFile(path, fresh.toString("hex"), { mode: 0o600, flag: "wx" });
    return fresh;
  } catch {
    // The file exists already, perhaps as one that this service may read and not write.
    const key = Buffer.from((await readFile(path, "utf8")).trim(), "hex");
    if (key.length === KEY_BYTES) return key;
    throw new ConfigError([`${path} contains no key; remove the file, and the next start makes one.`]);
  }
}
