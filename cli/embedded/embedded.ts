import { join } from "node:path";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { Log } from "#common/service/log.ts";
import { compose, START_ORDER } from "../../services/composition.ts";
import { type KeptCertificates, keepCertificates } from "./certificates.ts";
import type { EmbeddedConfig } from "./config.ts";
import type { DataDirectoryLock } from "./data-directory-lock.ts";
import { claimRunDirectory } from "./run-directory.ts";

export type Embedded = {
  readonly url: string;
  /** The gRPC target of the router, for callers on this machine. */
  readonly routerAddress: string;
  /**
   * Stops in this order: new requests are refused, runs finish within `graceMs`, workers end, then the
   * services.
   */
  drain(graceMs: number): Promise<void>;
};

/**
 * Starts every service in this process, each on its own Unix socket; docker-compose.yml runs the same
 * services as containers. When a service cannot start, all others are stopped, the lock is released, and the
 * call rejects.
 */
export async function startEmbedded(
  config: EmbeddedConfig,
  lock: DataDirectoryLock,
  logFor: (service: string) => Log,
): Promise<Embedded> {
  const { dataDirectory, projectsDirectory, settings } = config;
  const claimed = await claimRunDirectory(config.runDirectory).catch((error: unknown) => {
    lock.release();
    throw error;
  });
  const runDirectory = claimed.path;
  const address = (service: string) => `unix:${join(runDirectory, `${service}.sock`)}`;
  let certificates: KeptCertificates | undefined;
  const composition = compose(
    {
      projectsDirectory,
      dataDirectory,
      runDirectory,
      address,
      tlsDirectoryOf: (service) => certificates?.directoryOf(service as ServiceIdentity),
    },
    settings,
    logFor,
  );
  const drainAll = async (graceMs: number) => {
    try {
      await lock.markStopping(graceMs);
      await composition.drain(graceMs);
      certificates?.close();
      await claimed.remove();
    } finally {
      lock.release();
    }
  };
  try {
    // Certificates are needed only for workers in containers, because these are called over a network and not
    // over a Unix socket.
    if (settings["pool-manager"].driver === "docker")
      certificates = await keepCertificates(dataDirectory, logFor("certificates"));
    for (const name of START_ORDER.filter((each) => each !== "gateway")) await composition.start(name);
    const gateway = await composition.start("gateway");
    return {
      url: gateway.url,
      routerAddress: address("router"),
      drain: drainAll,
    };
  } catch (error) {
    await drainAll(0);
    throw error;
  }
}
