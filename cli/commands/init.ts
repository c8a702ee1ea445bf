import { randomBytes } from "node:crypto";
import { chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import { renewCertificates } from "../certificates/certs-directory.ts";
import { parseFlags, usageError } from "../flags.ts";

// User id of the containers where the operator is root. No account of the machine should have it.
const UNPRIVILEGED = 10_001;
const DOCKER_SOCKET = "/var/run/docker.sock";

/**
 * `./airlock init` prepares docker-compose.yml for this machine. It makes `deployment/` (certificates, the
 * database's password, a directory for secret files) and `.env`. A second run only renews the certificates.
 */
export async function init(args: readonly string[]): Promise<number> {
  const directory = parse(args);
  const deployment = join(directory, "deployment");
  await mkdir(join(deployment, "secrets"), { recursive: true, mode: 0o700 });
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
  // The password is read back, because an earlier init may have been interrupted between the two files.
  const password = (await readFile(passwordPath, "utf8")).trim();
  // TLS is off, because only the routers and the database are in this container network.
  const url = `postgres://airlock:${encodeURIComponent(password)}@postgres:5432/airlock?sslmode=disable`;
  await written(join(deployment, "database-url"), url, 0o600);
  await written(join(deployment, "version-key"), randomBytes(32).toString("hex"), 0o600);
  await written(join(directory, ".env"), await environmentFile(owner), 0o644);
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

async function environmentFile({ uid, gid }: Owner): Promise<string> {
  const docker = await stat(DOCKER_SOCKET).catch(() => {
    throw new ConfigError([
      `There is no ${DOCKER_SOCKET}: the pool-manager runs workers on a Docker engine. Install Docker, or start it.`,
    ]);
  });
  return `# Written by ./airlock init; read by docker compose.
AIRLOCK_UID=${uid}
AIRLOCK_GID=${gid}
DOCKER_GID=${docker.gid}
`;
}

/** Writes a file, whole or not at all, unless it exists. An empty file counts as missing, because a full disk leaves such files. */
async function written(path: string, text: string, mode: number): Promise<void> {
  const known = await stat(path).catch(() => undefined);
  if (known && !known.isFile())
    throw new ConfigError([`${path} is not a file; remove it, and ./airlock init writes one.`]);
  if (known && known.size > 0) return;
  const draft = `${path}.${process.pid}.new`;
  try {
    await writeFile(draft, text, { mode, flag: "wx" });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw new ConfigError([`${path} cannot be written: ${systemReason(error)}.`]);
  }
}

/**
 * Gives the files to the containers' user, except the certificate authority, because no container may read
 * its key.
 */
async function giveTo({ uid, gid }: Owner, deployment: string): Promise<void> {
  const services = (await readdir(join(deployment, "tls"))).filter((name) => name !== "ca");
  const places = [...services.map((name) => join("tls", name)), "secrets"];
  for (const file of ["database-url", "version-key"]) await chown(join(deployment, file), uid, gid);
  for (const place of places) {
    await chown(join(deployment, place), uid, gid);
    for (const file of await readdir(join(deployment, place)))
      await chown(join(deployment, place, file), uid, gid);
  }
}
