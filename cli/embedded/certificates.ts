import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { Log } from "#common/service/log.ts";
import { tlsDirectoryIn } from "../../services/pool-manager/config.ts";

/** Certificates of the embedded services, which are made and renewed automatically. */
export type KeptCertificates = { directoryOf(service: ServiceIdentity): string; close(): void };

const DAYS = 30;
const RENEW_BEFORE_MS = 10 * 86_400_000;
const LOOK_EVERY_MS = 6 * 3_600_000;

/**
 * Makes the certificates of the services and workers, unless there are valid ones, and renews them ten days
 * before they expire. Rejects when the first ones cannot be made; a renewal that fails is logged and tried
 * again six hours later.
 */
export async function keepCertificates(dataDirectory: string, log: Log): Promise<KeptCertificates> {
  const directory = tlsDirectoryIn(dataDirectory);
  const renew = async () => {
    if ((await validUntil(directory)) - Date.now() > RENEW_BEFORE_MS) return;
    // The module is imported only when certificates are made, because loading it takes a tenth of a second.
    const { renewCertificates } = await import("../certificates/certs-directory.ts");
    await renewCertificates(directory, {
      clients: [],
      days: DAYS,
      newAuthority: false,
      dropOldAuthorities: false,
      now: new Date(),
    });
    log.info("new certificates for the connections to workers");
  };
  await renew();
  const timer = setInterval(() => {
    renew().catch((error: unknown) => log.error({ err: error }, "certificates could not be renewed"));
  }, LOOK_EVERY_MS).unref();
  return { directoryOf: (service) => join(directory, service), close: () => clearInterval(timer) };
}

/** The time at which the certificates expire, in epoch milliseconds; 0 when there are none. */
async function validUntil(directory: string): Promise<number> {
  try {
    // The worker's certificate is the last one that a renewal writes, so when it is valid, all are.
    const certificate = new X509Certificate(await readFile(join(directory, "worker", "cert.pem")));
    return new Date(certificate.validTo).getTime();
  } catch {
    return 0;
  }
}
