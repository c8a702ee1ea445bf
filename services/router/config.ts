import { readEnvironment } from "../common/environment.ts";

export type RouterConfig = {
  readonly listen: string;
  readonly poolManagerAddress: string;
  readonly sanitizerAddress: string;
  readonly egressAddress: string;
  /** The SQLite file. */
  readonly databasePath: string;
  /** How long an ended execution can be polled. */
  readonly retentionMs: number;
};

/** Reads the router's environment; throws a ConfigError that names every problem. */
export function readRouterConfig(env: NodeJS.ProcessEnv): RouterConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    poolManagerAddress: read.text("AIRLOCK_POOL_MANAGER_ADDRESS"),
    sanitizerAddress: read.text("AIRLOCK_SANITIZER_ADDRESS"),
    egressAddress: read.text("AIRLOCK_EGRESS_ADDRESS"),
    databasePath: read.text("AIRLOCK_DATABASE"),
    retentionMs: read.durationMs("AIRLOCK_RETENTION", "24h"),
  };
  read.check();
  return config;
}
