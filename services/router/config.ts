import { type EnvironmentReader, readEnvironment } from "#common/service/environment.ts";
import { type DatabaseConfig, readDatabaseConfig } from "./store/config.ts";

export type RouterConfig = {
  readonly listen: string;
  readonly poolManagerAddress: string;
  readonly sanitizerAddress: string;
  readonly egressAddress: string;
  readonly database: DatabaseConfig;
  /** How many executions of all projects may not have ended. */
  readonly maxUnfinished: number;
  /** What the executions of all projects may store together. */
  readonly maxStoredBytes: number;
  /** Whether workers outlive this process although no other router is there, so that the next start goes on with what runs; not unless said. */
  readonly leavesRuns?: boolean;
  /** How long an ended execution can be polled. */
  readonly retentionMs: number;
  /** This service's certificates; needed where it is on a network. */
  readonly tlsDirectory?: string | undefined;
};

/** AIRLOCK_QUEUE, which `./airlock up` has too. */
export function readMaxUnfinished(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_QUEUE", 10_000, 1, 1_000_000);
}

/** AIRLOCK_DISK_MB, likewise. */
export function readMaxStoredBytes(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_DISK_MB", 10_000, 100, 1_000_000_000) * 1024 * 1024;
}

/** AIRLOCK_RETENTION, likewise. A result that is gone as soon as it is there could not be polled. */
export function readRetentionMs(read: EnvironmentReader): number {
  return read.durationMs("AIRLOCK_RETENTION", "24h", { least: "1s" });
}

/** Reads the router's environment; throws a ConfigError that names every problem. */
export function readRouterConfig(env: NodeJS.ProcessEnv): RouterConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    poolManagerAddress: read.text("AIRLOCK_POOL_MANAGER_ADDRESS"),
    sanitizerAddress: read.text("AIRLOCK_SANITIZER_ADDRESS"),
    egressAddress: read.text("AIRLOCK_EGRESS_ADDRESS"),
    database: readDatabaseConfig(read),
    maxUnfinished: readMaxUnfinished(read),
    maxStoredBytes: readMaxStoredBytes(read),
    retentionMs: readRetentionMs(read),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  read.check();
  return config;
}
