import type { Registry } from "prom-client";
import { openEdges } from "#common/grpc/edges.ts";
import type { Log } from "#common/service/log.ts";
import { runService } from "#common/service/run-service.ts";
import { connectBackends } from "./backends/grpc/backends.ts";
import { type GatewayConfig, readGatewayConfig } from "./config.ts";
import { type RunningGateway, serve } from "./serve.ts";

/**
 * Starts the gateway, which calls the router and the pool-manager; these may still be starting. `hosted` are
 * the metrics of services in the same process, which GET /metrics shows too.
 */
export async function startGateway(
  config: GatewayConfig,
  log: Log,
  hosted: readonly Registry[] = [],
): Promise<RunningGateway> {
  const edges = await openEdges("gateway", config, log);
  return await serve(config, connectBackends(config, edges), log, hosted);
}

if (import.meta.main) await runService("gateway", readGatewayConfig, startGateway);
