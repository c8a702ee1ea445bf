import { join } from "node:path";
import { readAuthMode } from "#common/identity/auth-mode.ts";
import type { EmbeddedService } from "#common/service/embedded.ts";
import { readRestHost } from "#common/service/rest-address.ts";
import {
  type DockerConfig,
  DRIVERS,
  needsNetworkNamespace,
  type PoolManagerConfig,
  readDockerConfig,
  readMaxWorkers,
  tlsDirectoryIn,
} from "./config.ts";
import { startPoolManager } from "./main.ts";

const ROOT = join(import.meta.dirname, "..", "..");

export type PoolManagerSettings = {
  readonly driver: PoolManagerConfig["driver"];
  /** The settings of the docker driver; undefined for the process driver. */
  readonly docker: DockerConfig | undefined;
  /**
   * The Python interpreter of the workers' supervisors, which has the packages that they need, such as gRPC;
   * empty for the docker driver and in mock mode.
   */
  readonly python: string;
  /** The largest number of workers of all projects together. */
  readonly maxWorkers: number;
  readonly needsNetworkNamespace: boolean;
};

export const poolManager: EmbeddedService<PoolManagerSettings> = {
  needs: ["secrets", "authority"],
  readSettings(read, { dataDirectory, isMock }) {
    const driver = read.choice("AIRLOCK_DRIVER", DRIVERS, "process");
    const workerTls = join(tlsDirectoryIn(dataDirectory), "worker");
    return {
      driver,
      docker: driver === "docker" ? readDockerConfig(read, dataDirectory, workerTls) : undefined,
      python:
        isMock || driver === "docker"
          ? ""
          : read.text("AIRLOCK_PYTHON", join(ROOT, ".venv", "bin", "python")),
      maxWorkers: readMaxWorkers(read),
      needsNetworkNamespace: needsNetworkNamespace(driver, readAuthMode(read, readRestHost(read))),
    };
  },
  start: (site, settings, log) =>
    startPoolManager(
      {
        ...settings,
        listen: site.address("pool-manager"),
        secretsAddress: site.address("secrets"),
        authorityAddress: site.address("authority"),
        projectsDirectory: site.projectsDirectory,
        dataDirectory: site.dataDirectory,
        runDirectory: site.runDirectory,
        tlsDirectory: site.tlsDirectoryOf("pool-manager"),
      },
      log,
    ),
};
