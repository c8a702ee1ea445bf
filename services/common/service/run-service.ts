import type { Registry } from "prom-client";
import { keepMemoryOutOfCoreDumps } from "./core-dumps.ts";
import { ConfigError } from "./environment.ts";
import { DRAIN_GRACE_MS } from "./grace-periods.ts";
import { createLog, type Log } from "./log.ts";

/** A service that listens. */
export type RunningService = {
  /** Where it listens: `unix:/path` or `host:port`. */
  readonly address: string;
  /** Its own metrics, if it has any; whoever hosts the service shows them. */
  readonly registry?: Registry;
  /** Takes no new work, lets what is under way finish for `graceMs`, then stops. */
  drain(graceMs: number): Promise<void>;
};

/**
 * The life of a service that is a process of its own: configuration, start, drain on SIGTERM and SIGINT. Its metrics are at
 * `AIRLOCK_METRICS_LISTEN`, when that is set.
 * Exits 2 with one line per problem when the configuration is wrong, 1 when the start fails.
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
    // Before it is said that the service is there: whoever hears it may stop it.
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
