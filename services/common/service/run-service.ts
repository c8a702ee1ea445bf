import type { Registry } from "prom-client";
import { keepMemoryOutOfCoreDumps } from "./core-dumps.ts";
import { ConfigError } from "./environment.ts";
import { DRAIN_GRACE_MS } from "./grace-periods.ts";
import { createLog, type Log } from "./log.ts";

/** A service that has started and listens. */
export type RunningService = {
  /** The address that the service listens on: `unix:/path` or `host:port`. */
  readonly address: string;
  /**
   * The service's own metrics, which the process that hosts the service serves; undefined when it has none.
   */
  readonly registry?: Registry;
  /** Refuses new work, lets work that is under way finish for `graceMs` milliseconds, then stops. */
  drain(graceMs: number): Promise<void>;
};

/**
 * Runs a service as a process of its own: reads the configuration, starts the service, drains it on SIGTERM,
 * SIGINT and SIGHUP. Metrics are served at `AIRLOCK_METRICS_LISTEN` when that is set. Exits with 2 and one
 * line per problem when the configuration is wrong, and with 1 when the start or the drain fails.
 */
export async function runService<Config>(
  name: string,
  readConfig: (env: NodeJS.ProcessEnv) => Config,
  start: (config: Config, log: Log) => Promise<RunningService>,
): Promise<void> {
  keepMemoryOutOfCoreDumps();
  const log = createLog(name, process.env.AIRLOCK_LOG_LEVEL || "info");
  try {
    const service = await start(readConfig(process.env), log);
    let metrics: Awaited<ReturnType<typeof openMetrics>>;
    const stop = (signal: string) => {
      log.info({ signal }, "draining");
      service
        .drain(DRAIN_GRACE_MS)
        .then(() => metrics?.close())
        .then(
          () => process.exit(0),
          (error: unknown) => {
            log.error({ err: error }, "drain failed");
            process.exit(1);
          },
        );
    };
    // Signals are handled before "listening" is logged, because a process that waits for that line may stop
    // the service at once.
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    process.once("SIGHUP", stop);
    log.info({ address: service.address }, "listening");
    metrics = await openMetrics(process.env.AIRLOCK_METRICS_LISTEN, service);
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(`${error.message}\n`);
      process.exit(2);
    }
    log.fatal({ err: error }, "start failed");
    process.exit(1);
  }
}

async function openMetrics(listen: string | undefined, service: RunningService) {
  if (!listen) return undefined;
  const { createProcessRegistry, serveMetrics } = await import("./metrics-server.ts");
  return await serveMetrics(listen, createProcessRegistry(service.registry ? [service.registry] : []));
}
