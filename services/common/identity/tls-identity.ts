import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ChannelCredentials, experimental, type ServerCredentials } from "@grpc/grpc-js";
import { ConfigError } from "../service/environment.ts";
import type { Log } from "../service/log.ts";
import { systemReason } from "../system-reason.ts";
import { type Identity, identityOfCertificate, isSameIdentity, type ServiceIdentity } from "./identity.ts";
import { type Files, LatestCertificates } from "./latest-certificates.ts";

// Milliseconds between two checks of the certificate files for new ones.
const LOOK_EVERY_MS = 5_000;

/**
 * The TLS credentials of this service, as a server and as a client. Connections that are made after the files
 * change use the new certificates.
 */
export type TlsIdentity = {
  /** Credentials for the service's server: callers must show a certificate of Airlock's own authority. */
  readonly server: ServerCredentials;
  /** Credentials for calls to `peer`: the server must prove to be that service, whatever its address is. */
  client(peer: ServiceIdentity): ChannelCredentials;
  close(): void;
};

/**
 * Opens `ca.pem`, `cert.pem` and `key.pem` in `directory` (`./airlock certs` makes them), which must belong
 * to `self`. Rejects with a ConfigError when they cannot be used. Newer files that cannot be used are logged,
 * and the earlier ones stay in use.
 */
export async function openTlsIdentity(
  directory: string,
  self: Identity,
  log: Log,
  lookEveryMs = LOOK_EVERY_MS,
): Promise<TlsIdentity> {
  const first = await readFiles(directory, self);
  const latest = new LatestCertificates(first);
  const look = async () => {
    try {
      if (latest.change(await readFiles(directory, self))) log.info("new certificates are in use");
    } catch (error) {
      log.error({ reason: (error as Error).message }, "new certificates are not used");
    }
  };
  const timer = setInterval(() => void look(), lookEveryMs).unref();
  const clients = new Map<ServiceIdentity, ChannelCredentials>();
  return {
    server: experimental.createCertificateProviderServerCredentials(latest, latest, true),
    client(peer) {
      const known =
        clients.get(peer) ??
        experimental.createCertificateProviderChannelCredentials(latest, latest, {
          // The check compares the identity in the certificate, not the address: otherwise a worker that took
          // over another service's address would pass for that service.
          checkServerIdentity: (_host, { raw }) =>
            isSameIdentity(identityOfCertificate(raw), { kind: "service", name: peer })
              ? undefined
              : new Error(`the certificate of the called service is not that of the ${peer}`),
        });
      clients.set(peer, known);
      return known;
    },
    close: () => clearInterval(timer),
  };
}

/**
 * The TLS identity of a service. Undefined without a directory, because a service that uses only Unix sockets
 * needs none.
 */
export async function openTlsIfAny(
  directory: string | undefined,
  service: ServiceIdentity,
  log: Log,
): Promise<TlsIdentity | undefined> {
  if (directory === undefined) return undefined;
  return await openTlsIdentity(directory, { kind: "service", name: service }, log);
}

async function readFiles(directory: string, self: Identity): Promise<Files> {
  const read = (name: string) =>
    readFile(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError([
        `${join(directory, name)} cannot be read (${systemReason(error)}); ./airlock certs makes it.`,
      ]);
    });
  const [ca, cert, key] = await Promise.all(["ca.pem", "cert.pem", "key.pem"].map(read));
  const files = { ca, cert, key } as Files;
  const problem = problemOf(files, self);
  if (problem) throw new ConfigError([`The certificates in ${directory} cannot be used: ${problem}.`]);
  return files;
}

function problemOf({ ca, cert, key }: Files, self: Identity): string | undefined {
  try {
    new X509Certificate(ca);
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return "key.pem is not the key of cert.pem";
    if (new Date(certificate.validTo).getTime() <= Date.now()) return "cert.pem has expired";
    if (!isSameIdentity(identityOfCertificate(cert), self))
      return `cert.pem is not that of the ${self.kind === "client" ? `client ${self.name}` : self.name}`;
    return undefined;
  } catch {
    return "one of them is not PEM";
  }
}
