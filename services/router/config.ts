import { type DatabaseConfig, readDatabaseConfig } from "#common/database/config.ts";
import { type EnvironmentReader, readEnvironment } from "#common/service/environment.ts";

export type RouterConfig = {
  readonly listen: string;
  /** The address of the authority; undefined only where this service listens on a Unix socket. */
  readonly authorityAddress?: string | undefined;
  readonly poolManagerAddress: string;
  readonly sanitizerAddress: string;
  readonly egressAddress: string;
  readonly database: DatabaseConfig;
  /**
   * The largest number of executions over all projects that have not ended. When it is reached, only projects
   * with fewer than their share of them may still submit.
   */
  readonly maxUnfinished: number;
  /**
   * The most bytes that the executions of all projects may store together. The router deletes the oldest
   * ended executions to stay below this number.
   */
  readonly maxStoredBytes: number;
  /**
   * Whether workers outlive this process, as Docker containers do. A router that stops then leaves its runs
   * on their workers, and the next router takes the runs over. False or undefined: a router that stops ends
   * its runs. With PostgreSQL, runs are left to other routers in any case.
   */
  readonly leavesRuns?: boolean;
  /** How long the router keeps an ended execution before it deletes the execution, in milliseconds. */
  readonly retentionMs: number;
  /** The directory of the router's TLS certificates; undefined when the router listens on a Unix socket. */
  readonly tlsDirectory?: string | undefined;
};

/**
 * Reads AIRLOCK_QUEUE, the largest number of unfinished executions over all projects; 10,000 unless set. The
 * router and `./airlock up` call this function.
 */
export function readMaxUnfinished(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_QUEUE", 10_000, 1, 1_000_000);
}

/**
 * Reads AIRLOCK_DISK_MB, the most that all executions may store together, and returns it in bytes; 10,000 MB
 * unless set. The router and `./airlock up` call this function.
 */
export function readMaxStoredBytes(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_DISK_MB", 10_000, 100, 1_000_000_000) * 1024 * 1024;
}

/**
 * Reads AIRLOCK_RETENTION, how long ended executions are kept, and returns it in milliseconds; 24 h unless
 * set. Less than a second is refused, because a caller that polls must still find the result. The router and
 * `./airlock up` call this function.
 */
export function readRetentionMs(read: EnvironmentReader): number {
  return read.durationMs("AIRLOCK_RETENTION", "24h", { least: "1s" });
}

/**
 * Reads the router's configuration from environment variables. Throws a ConfigError that names every problem.
 */
export function readRouterConfig(env: NodeJS.ProcessEnv): RouterConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    authorityAddress: read.optionalText("AIRLOCK_AUTHORITY_ADDRESS"),
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
