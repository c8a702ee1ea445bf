import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import { ConfigError, type EnvironmentReader } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import { systemReason } from "#common/system-reason.ts";

// Milliseconds between two checks of the files for a renewed certificate.
const LOOK_EVERY_MS = 5_000;
// The bits of a file's mode that let every user of the machine read or write it.
const OF_OTHERS = 0o006;

/** The paths of the certificate (PEM, with its chain) and of its private key. */
export type CertificateFiles = { readonly cert: string; readonly key: string };

/** A certificate and its key, as PEM. */
export type Certificate = { readonly cert: Buffer; readonly key: Buffer };

/** What a TLS server does to use another certificate for new connections. */
export type SecureServer = {
  setSecureContext(certificate: Certificate & { readonly minVersion: "TLSv1.2" }): void;
};

export type OpenCertificate = {
  readonly first: Certificate;
  /** Lets `server` use the files' newest certificate. */
  follow(server: SecureServer): void;
  close(): void;
};

/**
 * Reads TLS_CERT and TLS_KEY, of which both or none must be set. Undefined without them; REST is then served
 * without TLS.
 */
export function readCertificateFiles(read: EnvironmentReader): CertificateFiles | undefined {
  const [cert, key] = [read.optionalText("TLS_CERT"), read.optionalText("TLS_KEY")];
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert !== undefined || key !== undefined) {
    const [set, missing] = cert === undefined ? ["TLS_KEY", "TLS_CERT"] : ["TLS_CERT", "TLS_KEY"];
    read.refuse(`${missing} is not set, but ${set} is; HTTPS needs a certificate and its key`);
  }
  return undefined;
}

/**
 * Opens the certificate of the REST port. Rejects with a ConfigError when it cannot be used. A renewed one is
 * taken within `lookEveryMs`; renewed files that cannot be used are logged, and the earlier ones stay in use.
 */
export async function openCertificate(
  files: CertificateFiles,
  log: Log,
  lookEveryMs = LOOK_EVERY_MS,
): Promise<OpenCertificate> {
  const first = await readCertificate(files);
  let current = first;
  let timer: NodeJS.Timeout | undefined;
  let reported = "";
  const look = async (server: SecureServer) => {
    try {
      const found = await readCertificate(files);
      reported = "";
      if (found.cert.equals(current.cert) && found.key.equals(current.key)) return;
      server.setSecureContext({ ...found, minVersion: "TLSv1.2" });
      current = found;
      log.info("a new certificate of the REST port is in use");
    } catch (error) {
      // A mistake is reported once, and not at every look.
      const reason = (error as Error).message;
      if (reason !== reported) log.error({ reason }, "the new certificate of the REST port is not used");
      reported = reason;
    }
  };
  return {
    first,
    follow(server) {
      const again = () => {
        timer = setTimeout(() => void look(server).finally(() => timer && again()), lookEveryMs).unref();
      };
      again();
    },
    close() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

async function readCertificate({ cert: certPath, key: keyPath }: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([readOf("TLS_CERT", certPath), readOf("TLS_KEY", keyPath)]);
  if (((await stat(keyPath)).mode & OF_OTHERS) !== 0) {
    throw new ConfigError([
      `TLS_KEY: every user of this machine may use the file ${keyPath}; take that right away: chmod o-rw ${keyPath}`,
    ]);
  }
  const problem = problemOf({ cert, key });
  if (problem) throw new ConfigError([`TLS_CERT and TLS_KEY cannot be used: ${problem}.`]);
  return { cert, key };
}

async function readOf(variable: string, path: string): Promise<Buffer> {
  return await readFile(path).catch((error: unknown) => {
    throw new ConfigError([`${variable}: the file ${path} cannot be read (${systemReason(error)}).`]);
  });
}

function problemOf({ cert, key }: Certificate): string | undefined {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return "TLS_CERT holds no certificate in PEM";
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return "TLS_KEY is not the key of TLS_CERT";
  } catch {
    return "TLS_KEY holds no private key in PEM without a password";
  }
  if (Date.parse(certificate.validTo) <= Date.now()) return "the certificate has expired";
  try {
    createSecureContext({ cert, key, minVersion: "TLSv1.2" });
    return undefined;
  } catch {
    return "the TLS library takes neither such a certificate nor such a key";
  }
}

/** Whether the certificate is for this host name or address. */
export function isFor({ cert }: Certificate, host: string): boolean {
  const certificate = new X509Certificate(cert);
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}
