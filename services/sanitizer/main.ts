import { openEdges } from "#common/grpc/edges.ts";
import { startGrpcServer } from "#common/grpc/server.ts";
import { systemClock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { type RunningService, runService } from "#common/service/run-service.ts";
import { SanitizerServiceService } from "#proto/sanitizer.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import { readSanitizerConfig, type SanitizerConfig } from "./config.ts";
import { sanitizerHandlers } from "./handlers.ts";
import { createNeedleCache } from "./needle-cache.ts";
import { createSanitizerMetrics } from "./sanitizer-metrics.ts";
import { resolveWith } from "./secrets-client.ts";

/**
 * Starts the sanitizer, which searches every byte of a run's output for secrets before the router stores it
 * or sends it on. Resolves when the service listens.
 */
export async function startSanitizer(config: SanitizerConfig, log: Log): Promise<RunningService> {
  const edges = await openEdges("sanitizer", config, log);
  const secrets = edges.connectTo(SecretsServiceClient, config.secretsAddress);
  const cache = createNeedleCache(resolveWith(secrets), systemClock);
  const metrics = createSanitizerMetrics();
  const server = await startGrpcServer(
    config.listen,
    [[SanitizerServiceService, sanitizerHandlers(cache, metrics, log)]],
    edges.tls,
    edges.readiness,
  );
  return {
    address: server.address,
    registry: metrics.registry,
    async drain(graceMs) {
      await server.drain(graceMs);
      edges.close();
    },
  };
}

if (import.meta.main) await runService("sanitizer", readSanitizerConfig, startSanitizer);
