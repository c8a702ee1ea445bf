import { systemClock } from "../common/clock.ts";
import { EgressServiceService } from "../common/gen/airlock/v1/egress.ts";
import { SecretsServiceClient } from "../common/gen/airlock/v1/secrets.ts";
import { connect } from "../common/grpc-client.ts";
import { startGrpcServer } from "../common/grpc-server.ts";
import type { Log } from "../common/log.ts";
import { openProjectCatalogue } from "../common/project-catalogue.ts";
import { type RunningService, runService } from "../common/run-service.ts";
import { openTlsIfAny } from "../common/tls-identity.ts";
import { createWorkerConnections } from "../common/worker-connections.ts";
import { createAttemptLog } from "./attempt-log.ts";
import { createAttempts } from "./attempts.ts";
import { type Authority, openAuthority } from "./authority.ts";
import { type EgressConfig, readEgressConfig } from "./config.ts";
import { createDial } from "./destination.ts";
import { readExtraAuthorities } from "./extra-authorities.ts";
import { egressHandlers } from "./handlers.ts";
import { createHeldRoutes } from "./held-routes.ts";
import { createIntercept } from "./intercept.ts";
import { createLookUp } from "./names/lookups.ts";
import type { Resolve } from "./names/resolve.ts";
import { createSystemResolver } from "./names/system-resolver.ts";
import { createProxy } from "./proxy.ts";
import { createRouteOpener } from "./route-opener.ts";
import { resolveBrokered } from "./secrets-client.ts";
import { createEncrypt } from "./upstream-tls.ts";
import { createTunnelOpener, TUNNEL_CHANNEL_OPTIONS } from "./worker-tunnels.ts";

/** The only way to the network. */
export async function startEgress(
  config: EgressConfig,
  log: Log,
  resolve: Resolve = createSystemResolver({ servers: config.dnsServers ?? [] }),
): Promise<RunningService> {
  const catalogue = await openProjectCatalogue(config.projectsDirectory);
  const tls = await openTlsIfAny(config.tlsDirectory, "egress", log);
  const secrets = connect(SecretsServiceClient, config.secretsAddress, tls);
  const authority = once(() => openAuthority(config.dataDirectory, systemClock));
  const attemptLog = createAttemptLog(log, systemClock);
  const attempts = createAttempts(attemptLog);
  const dial = createDial(createLookUp(resolve, systemClock));
  const extraAuthorities = await readExtraAuthorities(config.extraCaPath);
  const encrypt = createEncrypt(extraAuthorities);
  const intercept = createIntercept({ authority, dial, encrypt, attempts });
  const proxy = createProxy({ dial, intercept, attempts });
  const workers = createWorkerConnections(tls, TUNNEL_CHANNEL_OPTIONS);
  const openTunnels = createTunnelOpener(workers, proxy.accept, log);
  const brokered = (project: string, signal: AbortSignal) => resolveBrokered(secrets, project, signal);
  const open = createRouteOpener({
    ...{ catalogue, brokered, authority, extraAuthorities, openTunnels, attempts },
  });
  const routes = createHeldRoutes(open, systemClock);
  const server = await startGrpcServer(
    config.listen,
    [[EgressServiceService, egressHandlers(routes.hold, log)]],
    tls,
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
      secrets.close();
      tls?.close();
    },
  };
}

/** Made at the first need; a failure is not remembered. */
function once(make: () => Promise<Authority>): () => Promise<Authority> {
  let made: Promise<Authority> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

if (import.meta.main) await runService("egress", readEgressConfig, (config, log) => startEgress(config, log));
