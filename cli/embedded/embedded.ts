import { join } from "node:path";
import type { Log } from "#common/service/log.ts";
import type { RunningService } from "#common/service/run-service.ts";
import { startGateway } from "../../gateway/main.ts";
import { startEgress } from "../../services/egress/main.ts";
import { startPoolManager } from "../../services/pool-manager/main.ts";
import { startRouter } from "../../services/router/main.ts";
import { startSanitizer } from "../../services/sanitizer/main.ts";
import { startSecrets } from "../../services/secrets/main.ts";
import { type KeptCertificates, keepCertificates } from "./certificates.ts";
import type { EmbeddedConfig } from "./config.ts";
import type { DataDirectoryLock } from "./data-directory-lock.ts";
import { claimRunDirectory } from "./run-directory.ts";

export type Embedded = {
  readonly url: string;
  /** The gRPC target of the router, for callers on this machine. */
  readonly routerAddress: string;
  /** Ends from the outside in: no new requests, runs finish for `graceMs`, then workers, then the rest. */
  drain(graceMs: number): Promise<void>;
};

/**
 * Starts every service in this process, each on its own Unix socket, as compose runs them in containers of their own.
 * Rejects, with nothing left running and the lock released, when one of them cannot start.
 */
export async function startEmbedded(
  config: EmbeddedConfig,
  lock: DataDirectoryLock,
  logFor: (service: string) => Log,
): Promise<Embedded> {
  const { dataDirectory, projectsDirectory } = config;
  const claimed = await claimRunDirectory(config.runDirectory).catch((error: unknown) => {
    lock.release();
    throw error;
  });
  const runDirectory = claimed.path;
  const address = (service: string) => `unix:${join(runDirectory, `${service}.sock`)}`;
  const running: RunningService[] = [];
  let certificates: KeptCertificates | undefined;
  const drainAll = async (graceMs: number) => {
    try {
      await lock.markStopping(graceMs);
      for (const service of running.reverse()) await service.drain(graceMs);
      certificates?.close();
      await claimed.remove();
    } finally {
      lock.release();
    }
  };
  const start = async <Service extends RunningService>(service: Promise<Service>): Promise<Service> => {
    running.push(await service);
    return await service;
  };
  try {
    // Containers are spoken to over a network, and there only with certificates.
    if (config.driver === "docker")
      certificates = await keepCertificates(dataDirectory, logFor("certificates"));
    await start(
      startSecrets(
        {
          listen: address("secrets"),
          projectsDir: projectsDirectory,
          versionKeyPath: join(config.dataDirectory, "version-key"),
          vault: config.vault,
        },
        logFor("secrets"),
      ),
    );
    await start(
      startSanitizer(
        { listen: address("sanitizer"), secretsAddress: address("secrets") },
        logFor("sanitizer"),
      ),
    );
    await start(
      startEgress(
        {
          listen: address("egress"),
          secretsAddress: address("secrets"),
          projectsDirectory,
          dataDirectory,
          extraCaPath: config.egressExtraCaPath,
          dnsServers: config.dnsServers,
          tlsDirectory: certificates?.directoryOf("egress"),
        },
        logFor("egress"),
      ),
    );
    await start(
      startPoolManager(
        {
          listen: address("pool-manager"),
          secretsAddress: address("secrets"),
          projectsDirectory,
          dataDirectory,
          runDirectory,
          driver: config.driver,
          docker: config.docker,
          python: config.python,
          maxWorkers: config.maxWorkers,
          tlsDirectory: certificates?.directoryOf("pool-manager"),
        },
        logFor("pool-manager"),
      ),
    );
    await start(
      startRouter(
        {
          listen: address("router"),
          poolManagerAddress: address("pool-manager"),
          sanitizerAddress: address("sanitizer"),
          egressAddress: address("egress"),
          database: { kind: "sqlite", path: join(dataDirectory, "airlock.db") },
          maxUnfinished: config.maxUnfinished,
          maxStoredBytes: config.maxStoredBytes,
          leavesRuns: config.driver === "docker",
          retentionMs: config.retentionMs,
          tlsDirectory: certificates?.directoryOf("router"),
        },
        logFor("router"),
      ),
    );
    const gateway = await start(
      startGateway(
        {
          host: config.host,
          port: config.port,
          hostNames: config.hostNames,
          routerAddress: address("router"),
          poolManagerAddress: address("pool-manager"),
        },
        logFor("gateway"),
        running.flatMap(({ registry }) => registry ?? []),
      ),
    );
    return {
      url: `http://${config.host}:${gateway.port}`,
      routerAddress: address("router"),
      drain: drainAll,
    };
  } catch (error) {
    await drainAll(0);
    throw error;
  }
}
