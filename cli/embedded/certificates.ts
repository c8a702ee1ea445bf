import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { Log } from "#common/service/log.ts";
import { tlsDirectoryIn } from "../../services/pool-manager/config.ts";

/** Certificates of the embedded services, made and renewed without anybody's doing. */
export type KeptCertificates = { directoryOf(service: ServiceIdentity): string; close(): void };

const DAYS = 30;
const RENEW_BEFORE_MS = 10 * 86_400_000;
const LOOK_EVERY_MS = 6 * 3_600_000;

/** Rejects when they cannot be made. */
export async function keepCertificates(dataDirectory: string, log: Log): Promise<KeptCertificates> {
  const directory = tlsDirectoryIn(dataDirectory);
  const renew = async () => {
    if ((await validUntil(directory)) - Date.now() > RENEW_BEFORE_MS) return;
    // Loaded only now: it takes a tenth of a second, which a start with good certificates need not pay.
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

/** Epoch milliseconds; 0 when there are none. */
async function validUntil(directory: string): Promise<number> {
  try {
    // The last one that is written.
    const certificate = new X509Certificate(await readFile(join(directory, "worker", "cert.pem")));
    return new Date(certificate.validTo).getTime();
  } catch {
    return 0;
  }
}
