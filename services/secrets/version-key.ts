import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { ConfigError } from "#common/service/environment.ts";

const KEY_BYTES = 32;

/**
 * The key by which sets of values get their versions, so that a version tells nothing about the values behind it. With
 * a file, made when it is not there, the same values have the same version after a restart: runs that outlive it keep
 * their way out. Without, the key dies with this process.
 */
export async function readVersionKey(path: string | undefined): Promise<Buffer> {
  const fresh = randomBytes(KEY_BYTES);
  if (path === undefined) return fresh;
  try {
    await writeFile(path, fresh.toString("hex"), { mode: 0o600, flag: "wx" });
    return fresh;
  } catch {
    // It is there, or belongs to somebody who only lets this service read it.
    const key = Buffer.from((await readFile(path, "utf8")).trim(), "hex");
    if (key.length === KEY_BYTES) return key;
    throw new ConfigError([`${path} holds no key; remove it, and the next start makes one.`]);
  }
}
