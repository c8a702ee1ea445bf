import { join } from "node:path";
import { type EnvironmentReader, readEnvironment } from "#common/service/environment.ts";
import { DEPLOYMENT_NAME, deploymentOf } from "./drivers/docker/names.ts";

export const DRIVERS = ["process", "docker"] as const;

/**
 * The settings of the docker driver. The names of all containers, networks and images contain the name of the
 * deployment.
 */
export type DockerConfig = {
  readonly deployment: string;
  /** The base image of the workers' images. */
  readonly pythonImage: string;
  /** The network of the steps of a build; undefined for the engine's default. */
  readonly buildNetwork: string | undefined;
  /** The directory of the certificates that workers are given. */
  readonly workerTlsDirectory: string;
  /**
   * The label (`name=value`) of the containers that dial workers; undefined when the callers run on the host.
   */
  readonly callersLabel: string | undefined;
};

export type PoolManagerConfig = {
  readonly listen: string;
  readonly secretsAddress: string;
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /**
   * The directory of workers' sockets and scratch files; empty for the docker driver. The path must be short,
   * because a socket path has at most 107 characters.
   */
  readonly runDirectory: string;
  readonly driver: (typeof DRIVERS)[number];
  /** The interpreter that has the worker's own packages; empty for the docker driver. */
  readonly python: string;
  /** The largest number of workers of all projects together. */
  readonly maxWorkers: number;
  /** The settings of the docker driver; undefined for the process driver. */
  readonly docker?: DockerConfig | undefined;
  /** The directory of this service's certificates; undefined when it listens on a Unix socket. */
  readonly tlsDirectory?: string | undefined;
};

/** The directory of the certificates for connections to containers, in an embedded deployment. */
export function tlsDirectoryIn(dataDirectory: string): string {
  return join(dataDirectory, "tls");
}

/** AIRLOCK_MAX_WORKERS; `./airlock up` reads it too. */
export function readMaxWorkers(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_MAX_WORKERS", 32, 1, 10_000);
}

/** Reads the pool-manager's environment; throws a ConfigError that names every problem. */
export function readPoolManagerConfig(env: NodeJS.ProcessEnv): PoolManagerConfig {
  const read = readEnvironment(env);
  const driver = read.choice("AIRLOCK_DRIVER", DRIVERS, "process");
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    secretsAddress: read.text("AIRLOCK_SECRETS_ADDRESS"),
    projectsDirectory: read.text("AIRLOCK_PROJECTS_DIR"),
    dataDirectory: read.text("AIRLOCK_DATA_DIR"),
    runDirectory: driver === "process" ? read.text("AIRLOCK_RUN_DIR") : "",
    driver,
    python: driver === "process" ? read.text("AIRLOCK_PYTHON") : "",
    maxWorkers: readMaxWorkers(read),
    docker:
      driver === "docker"
        ? readDockerConfig(read, env.AIRLOCK_DATA_DIR ?? "", read.text("AIRLOCK_WORKER_TLS_DIR"))
        : undefined,
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  read.check();
  return config;
}

/** Reads the settings of the docker driver that have defaults. */
export function readDockerConfig(
  read: EnvironmentReader,
  dataDirectory: string,
  workerTlsDirectory: string,
): DockerConfig {
  const deployment = read.text("AIRLOCK_DEPLOYMENT", deploymentOf(dataDirectory));
  if (!DEPLOYMENT_NAME.test(deployment)) {
    read.refuse(`AIRLOCK_DEPLOYMENT must be of a-z, 0-9 and -, at most 32 characters, not "${deployment}"`);
  }
  return {
    deployment,
    pythonImage: read.text("AIRLOCK_PYTHON_IMAGE", "python:3.12-slim"),
    buildNetwork: read.optionalText("AIRLOCK_BUILD_NETWORK"),
    workerTlsDirectory,
    callersLabel: read.optionalText("AIRLOCK_CALLERS_LABEL"),
  };
}
