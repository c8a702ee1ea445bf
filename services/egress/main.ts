import { openEdges } from "#common/grpc/edges.ts";
import { startGrpcServer } from "#common/grpc/server.ts";
import { createWorkerConnections } from "#common/grpc/worker-connections.ts";
import { openProjectCatalogue } from "#common/projects/catalogue.ts";
import { systemClock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { type RunningService, runService } from "#common/service/run-service.ts";
import { EgressServiceService } from "#proto/egress.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import { type EgressConfig, readEgressConfig } from "./config.ts";
import { readExtraAuthorities } from "./extra-authorities.ts";
import { egressHandlers } from "./handlers.ts";
import { createHeldRoutes } from "./held-routes.ts";
import { openAuthority } from "./interception-ca.ts";
import { createLookUp } from "./names/lookups.ts";
import type { Resolve } from "./names/resolve.ts";
import { createSystemResolver } from "./names/system-resolver.ts";
import { ownAddresses } from "./policy/own-addresses.ts";
import { createAttemptLog } from "./proxy/attempt-log.ts";
import { createAttempts } from "./proxy/attempts.ts";
import { createDial } from "./proxy/destination.ts";
import { createIntercept } from "./proxy/intercept.ts";
import { createProxy } from "./proxy/proxy.ts";
import { createEncrypt } from "./proxy/upstream-tls.ts";
import { createRouteOpener } from "./route-opener.ts";
import { openRouteKey } from "./routes/run-marks.ts";
import { resolveBrokered } from "./secrets-client.ts";
import { createTunnelOpener, TUNNEL_CHANNEL_OPTIONS } from "./tunnels/worker-tunnels.ts";

/**
 * Starts the egress service, the only way for scripts to reach the network. Resolves when the service
 * listens.
 */
export async function startEgress(
  config: EgressConfig,
  log: Log,
  resolve: Resolve = createSystemResolver({ servers: config.dnsServers ?? [] }),
): Promise<RunningService> {
  const catalogue = await openProjectCatalogue(config.projectsDirectory);
  const edges = await openEdges("egress", config, log);
  const secrets = edges.connectTo(SecretsServiceClient, config.secretsAddress);
  const authority = once(() => openAuthority(config.dataDirectory, systemClock));
  const key = once(() => openRouteKey(config.dataDirectory));
  const attemptLog = createAttemptLog(log, systemClock);
  const attempts = createAttempts(attemptLog);
  const dial = createDial(createLookUp(resolve, systemClock), ownAddresses(config));
  const extraAuthorities = await readExtraAuthorities(config.extraCaPath);
  const encrypt = createEncrypt(extraAuthorities);
  const intercept = createIntercept({ authority, dial, encrypt, attempts });
  const proxy = createProxy({ dial, intercept, attempts });
  const workers = createWorkerConnections(edges.tls, TUNNEL_CHANNEL_OPTIONS);
  const openTunnels = createTunnelOpener(workers, proxy.accept, log);
  const brokered = (project: string, version: string, signal: AbortSignal) =>
    resolveBrokered(secrets, project, version, signal);
  const open = createRouteOpener({
    ...{ catalogue, brokered, authority, key, extraAuthorities, openTunnels, attempts },
  });
  const routes = createHeldRoutes(open, systemClock);
  const server = await startGrpcServer(
    config.listen,
    [[EgressServiceService, egressHandlers(routes.hold, log)]],
    edges.tls,
    edges.readiness,
  );
  return {
    address: server.address,
    registry: attempts.registry,
    async drain(graceMs) {
      await server.drain(graceMs);
      routes.close();
      proxy.close();
      workers.close();
      attemptLog.end();
      edges.close();
    },
  };
}

/**
 * Makes a function that calls `make` on first use and keeps the result. After a failure the next use calls
 * `make` again.
 */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

if (import.meta.main) await runService("egress", readEgressConfig, (config, log) => startEgress(config, log));
