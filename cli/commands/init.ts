import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { chmod, chown, readdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeApiKey } from "#common/identity/api-key.ts";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import { renewCertificates } from "../certificates/certs-directory.ts";
import { makeGrantsFile } from "../certificates/grants-file.ts";
import { parseFlags, usageError } from "../flags.ts";
import { neededDirectory } from "../make-directory.ts";

// User and group id of the containers when root calls `./airlock init`. No account of the machine should have
// this id.
const UNPRIVILEGED = 10_001;
const DOCKER_SOCKET = "/var/run/docker.sock";

/**
 * `./airlock init` prepares docker-compose.yml for this machine. It makes `deployment/` (certificates, the
 * database's password, the first admin's API key, the file of grants, a directory for secret files) and `.env`. A second run
 * renews the certificates and adds what is missing.
 */
export async function init(args: readonly string[]): Promise<number> {
  const directory = parse(args);
  const deployment = join(directory, "deployment");
  await neededDirectory(join(deployment, "secrets"));
  const owner = ownerOfFiles();
  const { validTo } = await renewCertificates(join(deployment, "tls"), {
    clients: [],
    days: 30,
    newAuthority: false,
    dropOldAuthorities: false,
    now: new Date(),
  });
  // The file is world-readable, because the database's container reads it as a user of its own. Its directory
  // is closed to other users of this machine.
  const passwordPath = join(deployment, "database-password");
  await written(passwordPath, randomBytes(24).toString("hex"), 0o644);
  // The password is read from its file, because an earlier `init` may have written that file and then been
  // interrupted before it wrote `database-url`.
  const password = (await readFile(passwordPath, "utf8")).trim();
  // TLS to the database is off, because only the routers and the database are in this container network.
  const url = `postgres://airlock:${encodeURIComponent(password)}@postgres:5432/airlock?sslmode=disable`;
  await written(join(deployment, "database-url"), url, 0o600);
  await written(join(deployment, "admin-key"), makeApiKey().text, 0o600);
  await makeGrantsFile(join(deployment, "grants", "grants.yaml"));
  await written(join(deployment, "version-key"), randomBytes(32).toString("hex"), 0o600);
  await completed(join(directory, ".env"), await environmentOf(owner));
  if (process.getuid?.() === 0) await giveTo(owner, deployment);
  process.stdout.write(
    `deployment/ and .env are ready; the certificates are valid until ${validTo.toISOString().slice(0, 10)}, run this again before.\nNext: docker compose up --build --wait\n`,
  );
  return 0;
}

type Owner = { readonly uid: number; readonly gid: number };

function parse(args: readonly string[]): string {
  const { positionals } = parseFlags("init", args, {});
  if (positionals.length > 0)
    throw usageError("init", "init takes no arguments; it works in the directory of docker-compose.yml.");
  return process.cwd();
}

function ownerOfFiles(): Owner {
  const [uid = UNPRIVILEGED, gid = UNPRIVILEGED] = [process.getuid?.(), process.getgid?.()];
  return uid === 0 ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : { uid, gid };
}

/**
 * The variables that docker-compose.yml needs and that have no default: the user and group of the containers,
 * and the group of Docker's socket. Throws a ConfigError when there is no such socket.
 */
async function environmentOf({ uid, gid }: Owner): Promise<ReadonlyMap<string, number>> {
  const docker = await stat(DOCKER_SOCKET).catch(() => {
    throw new ConfigError([
      `There is no ${DOCKER_SOCKET}: the pool-manager runs workers on a Docker engine. Install Docker, or start it.`,
    ]);
  });
  return new Map([
    ["AIRLOCK_UID", uid],
    ["AIRLOCK_GID", gid],
    ["DOCKER_GID", docker.gid],
  ]);
}

/**
 * Appends to an environment file the variables that have no value in it; the last line of a name counts for
 * `docker compose`. The operator's lines, the file's mode and owner, and a symbolic link stay.
 */
async function completed(path: string, variables: ReadonlyMap<string, number>): Promise<void> {
  const known = await fileAt(path);
  const text = known ? await readFile(path, "utf8").catch((error) => refuse(path, "read", error)) : "";
  const hasValue = (name: string) =>
    new RegExp(`^\\s*(?:export\\s+)?${name}\\s*[=:]\\s*[^\\s#]`, "m").test(text);
  const missing = [...variables].filter(([name]) => !hasValue(name));
  if (missing.length === 0) return;
  const lines = missing.map(([name, value]) => `${name}=${value}\n`).join("");
  const before = text === "" || text.endsWith("\n") ? text : `${text}\n`;
  const target = known ? await realpath(path) : path;
  await replaced(
    target,
    `${before}# Written by ./airlock init; read by docker compose.\n${lines}`,
    (known?.mode ?? 0o644) & 0o7777,
    known,
  );
}

/**
 * The file at this path; undefined when there is none. Throws a ConfigError when something else than a file
 * is there.
 */
async function fileAt(path: string): Promise<Stats | undefined> {
  const known = await stat(path).catch(() => undefined);
  if (known && !known.isFile())
    throw new ConfigError([`${path} is not a file; remove it, and ./airlock init writes one.`]);
  return known;
}

function refuse(path: string, what: "read" | "written", error: unknown): never {
  throw new ConfigError([`${path} cannot be ${what}: ${systemReason(error)}.`]);
}

/** Writes a file unless it exists. An empty file counts as missing, because a full disk leaves such files. */
async function written(path: string, text: string, mode: number): Promise<void> {
  const known = await fileAt(path);
  if (known === undefined || known.size === 0) await replaced(path, text, mode);
}

/**
 * Writes a file completely or not at all, as a draft that is then renamed. The file belongs to the owner of
 * the file `like`, if one is given.
 */
async function replaced(path: string, text: string, mode: number, like?: Stats): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  try {
    await writeFile(draft, text, { mode, flag: "wx" });
    if (like) {
      await chmod(draft, mode);
      if (process.getuid?.() === 0) await chown(draft, like.uid, like.gid);
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    refuse(path, "written", error);
  }
}

/**
 * Makes the containers' user the owner of the files in `deployment/`. The certificate authority stays root's,
 * because no container may read its key.
 */
async function giveTo({ uid, gid }: Owner, deployment: string): Promise<void> {
  const services = (await readdir(join(deployment, "tls"))).filter((name) => name !== "ca");
  const places = [...services.map((name) => join("tls", name)), "secrets", "grants"];
  for (const file of ["database-url", "admin-key", "version-key"])
    await chown(join(deployment, file), uid, gid);
  for (const place of places) {
    await chown(join(deployment, place), uid, gid);
    for (const file of await readdir(join(deployment, place)))
      await chown(join(deployment, place, file), uid, gid);
  }
}
