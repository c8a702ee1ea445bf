import { randomBytes } from "node:crypto";
import { chmod, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CLIENT_NAME, SERVICES, type ServiceIdentity, spiffeId } from "#common/identity/identity.ts";
import { ConfigError } from "#common/service/environment.ts";
import { neededDirectory } from "../make-directory.ts";
import { type CertificateAuthority, issue, makeAuthority, readAuthority } from "./certificate-authority.ts";

export type Renewal = {
  readonly clients: readonly string[];
  readonly days: number;
  readonly newAuthority: boolean;
  readonly dropOldAuthorities: boolean;
  readonly now: Date;
};

/** The outcome of `renewCertificates`. */
export type Renewed = {
  readonly names: readonly string[];
  readonly validTo: Date;
  /** The number of authorities that services trust from now on. */
  readonly trusted: number;
  /** The number of old authorities that were removed, and that services no longer trust. */
  readonly dropped: number;
};

const DAY_MS = 86_400_000;
const CLIENT_PREFIX = "client-";

/**
 * Writes `ca.pem`, `cert.pem` and `key.pem` for every service, and for every client that is named in
 * `renewal` or was named in an earlier call. An authority that is made by this call is only trusted at first;
 * it issues certificates from the next call on, because services that still have the old `ca.pem` would
 * refuse its certificates.
 */
export async function renewCertificates(directory: string, renewal: Renewal): Promise<Renewed> {
  const caDirectory = join(directory, "ca");
  await neededDirectory(caDirectory);
  let authorities = await readAuthorities(caDirectory, renewal.now);
  if (authorities.length === 0) authorities = [await addAuthority(caDirectory, renewal.now)];
  const dropped = renewal.dropOldAuthorities ? authorities.length - 1 : 0;
  if (renewal.dropOldAuthorities) {
    for (const old of authorities.slice(0, -1)) await removeAuthority(caDirectory, old.name);
    authorities = authorities.slice(-1);
  }
  const issuer = authorities.at(-1) as Named;
  if (renewal.newAuthority) authorities = [...authorities, await addAuthority(caDirectory, renewal.now)];
  const trusted = authorities.map(({ authority }) => authority.pem).join("");
  const clients = [...new Set([...(await clientsIn(directory)), ...renewal.clients])].sort();
  const validTo = new Date(
    Math.min(renewal.now.getTime() + renewal.days * DAY_MS, issuer.authority.validTo.getTime()),
  );
  const write = async (name: string, uri: string, hosts: readonly string[]) => {
    const { certificate, key } = await issue(issuer.authority, { uri, hosts, now: renewal.now, validTo });
    const own = join(directory, name);
    await neededDirectory(own);
    await replace(join(own, "ca.pem"), trusted, 0o644);
    await replace(join(own, "key.pem"), key, 0o600);
    await replace(join(own, "cert.pem"), certificate, 0o644);
  };
  for (const service of SERVICES)
    await write(service, spiffeId({ kind: "service", name: service }), hostsOf(service));
  for (const client of clients)
    await write(`${CLIENT_PREFIX}${client}`, spiffeId({ kind: "client", name: client }), []);
  const names = [...SERVICES, ...clients.map((client) => `${CLIENT_PREFIX}${client}`)];
  return { names, validTo, trusted: authorities.length, dropped };
}

function hostsOf(service: ServiceIdentity): string[] {
  return [service, "localhost"];
}

type Named = { readonly name: string; readonly authority: CertificateAuthority };

/**
 * Reads the authorities that have not expired, oldest first. Throws a ConfigError when a file cannot be read.
 */
async function readAuthorities(caDirectory: string, now: Date): Promise<Named[]> {
  const names = (await readdir(caDirectory)).flatMap((file) => /^(\d{4})\.pem$/.exec(file)?.[1] ?? []).sort();
  const all = await Promise.all(
    names.map(async (name) => {
      try {
        const [certificate, key] = await Promise.all([
          readFile(join(caDirectory, `${name}.pem`), "utf8"),
          readFile(join(caDirectory, `${name}-key.pem`), "utf8"),
        ]);
        return { name, authority: await readAuthority(certificate, key) };
      } catch {
        throw new ConfigError([
          `The authority ${join(caDirectory, `${name}.pem`)} cannot be read, or its key.`,
        ]);
      }
    }),
  );
  return all.filter(({ authority }) => authority.validTo > now);
}

async function addAuthority(caDirectory: string, now: Date): Promise<Named> {
  const numbers = (await readdir(caDirectory)).map((file) => Number.parseInt(file, 10) || 0);
  const name = String(Math.max(0, ...numbers) + 1).padStart(4, "0");
  const { authority, key } = await makeAuthority(now);
  await replace(join(caDirectory, `${name}-key.pem`), key, 0o600);
  await replace(join(caDirectory, `${name}.pem`), authority.pem, 0o644);
  return { name, authority };
}

async function removeAuthority(caDirectory: string, name: string): Promise<void> {
  await rm(join(caDirectory, `${name}.pem`));
  await rm(join(caDirectory, `${name}-key.pem`));
}

async function clientsIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && entry.name.startsWith(CLIENT_PREFIX))
    .map((entry) => entry.name.slice(CLIENT_PREFIX.length))
    .filter((name) => CLIENT_NAME.test(name));
}

/** Writes a file atomically. The file never has wider permissions than `mode`, even while it is written. */
async function replace(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString("hex")}`;
  await writeFile(temporary, text, { mode: 0o600, flag: "wx" });
  await chmod(temporary, mode);
  await rename(temporary, path);
}
