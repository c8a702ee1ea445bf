import type { Registry } from "prom-client";
import type { Log } from "../services/common/log.ts";
import { runService } from "../services/common/run-service.ts";
import { connectBackend } from "./backends/grpc.ts";
import { type GatewayConfig, readGatewayConfig } from "./config.ts";
import { type RunningGateway, serve } from "./serve.ts";

/** Starts the gateway over the router and the pool-manager; they need not be there yet. */
export function startGateway(config: GatewayConfig, log: Log, registry?: Registry): Promise<RunningGateway> {
  return serve(config, connectBackend(config), log, registry);
}

if (import.meta.main) await runService("gateway", readGatewayConfig, startGateway);
