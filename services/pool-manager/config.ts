import { join } from "node:path";
import { type EnvironmentReader, readEnvironment } from "#common/service/environment.ts";
import { DEPLOYMENT_NAME, deploymentOf } from "./drivers/docker/names.ts";

export const DRIVERS = ["process", "docker"] as const;

/** How the docker driver works; every name that an operator can read in the engine begins with the deployment's. */
export type DockerConfig = {
  readonly deployment: string;
  /** What the images of workers are built on. */
  readonly pythonImage: string;
  /** The network of the steps of a build; undefined: the engine's default. */
  readonly buildNetwork: string | undefined;
  /** The certificates that workers are given. */
  readonly workerTlsDirectory: string;
  /** `name=value`: the label of the containers that dial workers; undefined: who dials them is no container. */
  readonly callersLabel: string | undefined;
};

export type PoolManagerConfig = {
  readonly listen: string;
  readonly secretsAddress: string;
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /** Sockets and scratch directories of workers that are processes; short, since a socket path has at most 107 characters. */
  readonly runDirectory: string;
  readonly driver: (typeof DRIVERS)[number];
  /** The interpreter that has the worker's own packages; the docker driver needs none. */
  readonly python: string;
  /** Workers of all projects together. */
  readonly maxWorkers: number;
  /** Needed by the docker driver. */
  readonly docker?: DockerConfig | undefined;
  /** This service's certificates; needed where it is on a network. */
  readonly tlsDirectory?: string | undefined;
};

/** Where the certificates of the connections to containers lie, in the embedded default. */
export function tlsDirectoryIn(dataDirectory: string): string {
  return join(dataDirectory, "tls");
}

/** AIRLOCK_MAX_WORKERS, which `./airlock up` has too. */
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

/** The settings of the docker driver that have defaults. */
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
