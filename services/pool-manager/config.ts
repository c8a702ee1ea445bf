import { readEnvironment } from "../common/environment.ts";

export type PoolManagerConfig = {
  readonly listen: string;
  readonly secretsAddress: string;
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /** Sockets and scratch directories; short, since a socket path has at most 107 characters. */
  readonly runDirectory: string;
  readonly driver: "process";
  /** The interpreter that has the worker's own packages. */
  readonly python: string;
  /** This service's certificates; needed where it is on a network. */
  readonly tlsDirectory?: string | undefined;
};

/** Reads the pool-manager's environment; throws a ConfigError that names every problem. */
export function readPoolManagerConfig(env: NodeJS.ProcessEnv): PoolManagerConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    secretsAddress: read.text("AIRLOCK_SECRETS_ADDRESS"),
    projectsDirectory: read.text("AIRLOCK_PROJECTS_DIR"),
    dataDirectory: read.text("AIRLOCK_DATA_DIR"),
    runDirectory: read.text("AIRLOCK_RUN_DIR"),
    driver: read.choice("AIRLOCK_DRIVER", ["process"] as const, "process"),
    python: read.text("AIRLOCK_PYTHON"),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  read.check();
  return config;
}
