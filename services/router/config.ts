import { type DatabaseConfig, readDatabaseConfig } from "#common/database/config.ts";
import { type EnvironmentReader, readEnvironment } from "#common/service/environment.ts";

export type RouterConfig = {
  readonly listen: string;
  readonly poolManagerAddress: string;
  readonly sanitizerAddress: string;
  readonly egressAddress: string;
  readonly database: DatabaseConfig;
  /** The largest number of unfinished executions over all projects. */
  readonly maxUnfinished: number;
  /** The most that executions of all projects may store together, in bytes. */
  readonly maxStoredBytes: number;
  /**
   * Whether workers outlive this process, so that the next start of a single router takes their runs over. False
   * unless given.
   */
  readonly leavesRuns?: boolean;
  /** How long an ended execution is kept, in milliseconds. */
  readonly retentionMs: number;
  /** The directory of this service's certificates; undefined when it listens on a Unix socket. */
  readonly tlsDirectory?: string | undefined;
};

/** AIRLOCK_QUEUE; `./airlock up` reads it too. */
export function readMaxUnfinished(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_QUEUE", 10_000, 1, 1_000_000);
}

/** AIRLOCK_DISK_MB in bytes; `./airlock up` reads it too. */
export function readMaxStoredBytes(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_DISK_MB", 10_000, 100, 1_000_000_000) * 1024 * 1024;
}

/**
 * AIRLOCK_RETENTION in milliseconds; `./airlock up` reads it too. At least a second, so that a result can still be
 * polled.
 */
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
