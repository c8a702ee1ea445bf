import { join } from "node:path";
import { type AuthMode, readStatedAuthMode } from "#common/identity/auth-mode.ts";
import { type EnvironmentReader, readEnvironment } from "#common/service/environment.ts";
import { DEPLOYMENT_NAME, deploymentOf } from "./drivers/docker/names.ts";

export const DRIVERS = ["process", "docker"] as const;

/**
 * The settings of the docker driver. The names of all containers, networks and images contain the name of the
 * deployment.
 */
export type DockerConfig = {
  /** The deployment's name: a-z, 0-9 and -, at most 32 characters. */
  readonly deployment: string;
  /** The image with Python on which the images of workers are built. */
  readonly pythonImage: string;
  /**
   * The Docker network that image builds use to download packages; undefined for the engine's default
   * network.
   */
  readonly buildNetwork: string | undefined;
  /** The directory with the TLS certificate and key that the pool-manager gives to workers in containers. */
  readonly workerTlsDirectory: string;
  /**
   * The label (`name=value`) of the containers of services that call workers, such as routers, by which the
   * driver finds these containers and puts them into the projects' networks. Undefined when these services
   * run on the host.
   */
  readonly callersLabel: string | undefined;
};

export type PoolManagerConfig = {
  readonly listen: string;
  /** The address of the authority; undefined only where this service listens on a Unix socket. */
  readonly authorityAddress?: string | undefined;
  readonly secretsAddress: string;
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /**
   * The directory of workers' sockets and scratch files; empty for the docker driver. The path must be short,
   * because a socket path has at most 107 characters.
   */
  readonly runDirectory: string;
  readonly driver: (typeof DRIVERS)[number];
  /**
   * The Python interpreter of the workers' supervisors, which has the packages that they need, such as gRPC;
   * empty for the docker driver.
   */
  readonly python: string;
  /** The largest number of workers of all projects together. */
  readonly maxWorkers: number;
  /**
   * Whether a project with a network starts only where each run has a network namespace. Its scripts would
   * otherwise reach a REST API that demands no credential.
   */
  readonly needsNetworkNamespace: boolean;
  /** The settings of the docker driver; undefined for the process driver. */
  readonly docker?: DockerConfig | undefined;
  /** The directory of this service's certificates; undefined when it listens on a Unix socket. */
  readonly tlsDirectory?: string | undefined;
};

/**
 * The directory of the TLS certificates for connections to containers, in an embedded deployment (all
 * services in one process, as `./airlock up` starts them).
 */
export function tlsDirectoryIn(dataDirectory: string): string {
  return join(dataDirectory, "tls");
}

/**
 * Reads AIRLOCK_MAX_WORKERS, the largest number of workers of all projects together: from 1 to 10,000, 32
 * unless set. Used by the pool-manager as a process of its own, and by `./airlock up`.
 */
export function readMaxWorkers(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_MAX_WORKERS", 32, 1, 10_000);
}

/**
 * Whether a project with a network needs network namespaces: where workers are processes on the machine of a
 * gateway that demands no credential. A container reaches no service of Airlock.
 */
export function needsNetworkNamespace(driver: PoolManagerConfig["driver"], auth: AuthMode): boolean {
  return driver === "process" && auth === "off";
}

/** Reads the pool-manager's environment; throws a ConfigError that names every problem. */
export function readPoolManagerConfig(env: NodeJS.ProcessEnv): PoolManagerConfig {
  const read = readEnvironment(env);
  const driver = read.choice("AIRLOCK_DRIVER", DRIVERS, "process");
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    authorityAddress: read.optionalText("AIRLOCK_AUTHORITY_ADDRESS"),
    secretsAddress: read.text("AIRLOCK_SECRETS_ADDRESS"),
    projectsDirectory: read.text("AIRLOCK_PROJECTS_DIR"),
    dataDirectory: read.text("AIRLOCK_DATA_DIR"),
    runDirectory: driver === "process" ? read.text("AIRLOCK_RUN_DIR") : "",
    driver,
    python: driver === "process" ? read.text("AIRLOCK_PYTHON") : "",
    maxWorkers: readMaxWorkers(read),
    needsNetworkNamespace: needsNetworkNamespace(driver, readStatedAuthMode(read)),
    docker:
      driver === "docker"
        ? readDockerConfig(read, env.AIRLOCK_DATA_DIR ?? "", read.text("AIRLOCK_WORKER_TLS_DIR"))
        : undefined,
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  read.check();
  return config;
}

/**
 * Reads the docker driver's settings that the operator need not set: AIRLOCK_DEPLOYMENT,
 * AIRLOCK_PYTHON_IMAGE, AIRLOCK_BUILD_NETWORK and AIRLOCK_CALLERS_LABEL. Problems are collected in `read`.
 */
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
