import type { Registry } from "prom-client";
import type { Log } from "../services/common/log.ts";
import { runService } from "../services/common/run-service.ts";
import { openTlsIfAny } from "../services/common/tls-identity.ts";
import { connectBackend } from "./backends/grpc.ts";
import { type GatewayConfig, readGatewayConfig } from "./config.ts";
import { type RunningGateway, serve } from "./serve.ts";

/** Starts the gateway over the router and the pool-manager; they need not be there yet. */
export async function startGateway(
  config: GatewayConfig,
  log: Log,
  registry?: Registry,
): Promise<RunningGateway> {
  const tls = await openTlsIfAny(config.tlsDirectory, "gateway", log);
  return await serve(config, connectBackend(config, tls), log, registry);
}

if (import.meta.main) await runService("gateway", readGatewayConfig, startGateway);
