import { readFileSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { readApiKey } from "#common/identity/api-key.ts";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import { neededDirectory } from "../make-directory.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The file of this user's API keys, by the origin of the Airlock that each one is for. */
export function keysFile(env: Environment): string {
  // The XDG Base Directory Specification: a relative path counts as unset.
  const given = env.XDG_CONFIG_HOME?.startsWith("/") ? env.XDG_CONFIG_HOME : undefined;
  return join(given ?? join(env.HOME || homedir(), ".config"), "airlock", "keys.json");
}

/**
 * The key that `./airlock login` stored for the Airlock at `url`; undefined when there is none. A key is shown to
 * the origin that it was stored for and to no other. Throws a ConfigError when the file cannot be used.
 */
export function storedKey(url: string, env: Environment): string | undefined {
  const origin = originOf(url);
  return origin === undefined ? undefined : readKeys(keysFile(env)).get(origin);
}

/** Stores the key for the Airlock at `url`, in place of an earlier one. Resolves to the path of the file. */
export async function storeKey(url: string, key: string, env: Environment): Promise<string> {
  const path = keysFile(env);
  const keys = new Map(readKeys(path)).set(originOf(url) ?? url, key);
  await writeKeys(path, keys);
  return path;
}

/** Forgets the key for the Airlock at `url`. Resolves to whether there was one. */
export async function forgetKey(url: string, env: Environment): Promise<boolean> {
  const path = keysFile(env);
  const keys = new Map(readKeys(path));
  if (!keys.delete(originOf(url) ?? url)) return false;
  await writeKeys(path, keys);
  return true;
}

/** Scheme, host and port of a URL; undefined for a URL with a user, who is sent in place of a key. */
function originOf(url: string): string | undefined {
  const parsed = URL.parse(url);
  return parsed === null || parsed.username !== "" ? undefined : parsed.origin;
}

function readKeys(path: string): ReadonlyMap<string, string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw new ConfigError([`${path} cannot be read: ${systemReason(error)}.`]);
  }
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
    if (entries.every(([, key]) => typeof key === "string" && readApiKey(key)))
      return new Map(entries as [string, string][]);
  } catch {
    // The sentence below says so; the parser's own message could repeat a key.
  }
  throw new ConfigError([`${path} is not what ./airlock login writes; remove it and log in again.`]);
}

/** Writes the file completely or not at all, readable for its owner only. */
async function writeKeys(path: string, keys: ReadonlyMap<string, string>): Promise<void> {
  await neededDirectory(dirname(path));
  const draft = `${path}.${process.pid}.new`;
  try {
    await writeFile(draft, `${JSON.stringify(Object.fromEntries(keys), undefined, 2)}\n`, {
      mode: 0o600,
      flag: "wx",
    });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw new ConfigError([`${path} cannot be written: ${systemReason(error)}.`]);
  }
}
