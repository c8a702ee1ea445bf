import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { type ApiKey, makeApiKey, readApiKey } from "#common/identity/api-key.ts";
import { DEFAULT_TENANT, SYSTEM_PRINCIPAL } from "#common/identity/principal.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { ConfigError } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import { systemReason } from "#common/system-reason.ts";
import type { AuthorityStore } from "./store/store.ts";

const NAME = "admin";

/** Where the key of the first admin comes from, or goes to. */
export type AdminKeyFile = {
  /** A file that holds the key already, as `./airlock init` makes it. Its key is an admin's, unless it was revoked. */
  readonly given?: string | undefined;
  /** The file that a new key is written to when there is no admin; undefined: no key is made. */
  readonly made?: string | undefined;
};

/**
 * Makes sure that somebody can administer the deployment. The key in the file `given` becomes an admin's key,
 * unless it is known, and then perhaps revoked. Without such a file a new key is made if there is no admin,
 * and written to the file `made` (mode 0600); it is never printed. If there is one, and the key in `made` was
 * revoked, the file is removed, so that it is recommended to no client. Rejects with a ConfigError when a file
 * cannot be used.
 */
export async function ensureAdmin(
  store: AuthorityStore,
  { given, made }: AdminKeyFile,
  clock: Clock,
  log: Log,
): Promise<void> {
  if (given !== undefined) {
    const key = readApiKey((await readGiven(given)).trim());
    if (!key) throw new ConfigError([`${given} holds no API key (alk_...); ./airlock init makes one.`]);
    if (await addAdmin(store, key, false, clock)) log.info({ key_id: key.id }, "the admin's key is in force");
    return;
  }
  if (made === undefined) return;
  const key = makeApiKey();
  const draft = `${made}.${key.id}`;
  try {
    // The file is written before the key is stored: a key that nobody can read would open nothing.
    await writeFile(draft, `${key.text}\n`, { mode: 0o600, flag: "wx" });
    if (!(await addAdmin(store, key, true, clock))) {
      await removeRevoked(store, made, clock);
      return;
    }
    await rename(draft, made);
    log.info({ key_id: key.id, file: made }, "the first admin's key was written");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new ConfigError([`The admin's key cannot be written to ${made} (${systemReason(error)}).`]);
  } finally {
    await rm(draft, { force: true });
  }
}

async function removeRevoked(store: AuthorityStore, path: string, clock: Clock): Promise<void> {
  const key = readApiKey((await readFile(path, "utf8").catch(() => "")).trim());
  const found = key && (await store.findKey(key.id, clock.now()));
  if (found?.key.revokedAtMs !== undefined) await rm(path);
}

async function readGiven(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new ConfigError([
      `AIRLOCK_ADMIN_KEY_FILE cannot be read (${systemReason(error)}); ./airlock init makes it.`,
    ]);
  }
}

function addAdmin(store: AuthorityStore, key: ApiKey, onlyFirst: boolean, clock: Clock): Promise<boolean> {
  const now = clock.now();
  const common = { tenant: DEFAULT_TENANT, madeBy: SYSTEM_PRINCIPAL.id, createdAtMs: now };
  const principal = { ...common, id: `key:${NAME}`, kind: "human", disabled: false } as const;
  const stored = {
    ...common,
    keyId: key.id,
    secretSha256: key.secretSha256,
    name: NAME,
    principal: principal.id,
    role: "admin",
    projects: [],
    rate: undefined,
    expiresAtMs: undefined,
    lastUsedAtMs: undefined,
    revokedAtMs: undefined,
  } as const;
  return store.addAdmin(stored, principal, onlyFirst, now);
}
