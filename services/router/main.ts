import { v7 as newRouterId } from "uuid";
import { checkDatabase } from "#common/database/readiness.ts";
import { openClientGrants } from "#common/grpc/client-grants.ts";
import { openEdges } from "#common/grpc/edges.ts";
import { openPassCheck } from "#common/grpc/pass-check.ts";
import { startGrpcServer } from "#common/grpc/server.ts";
import { createWorkerConnections } from "#common/grpc/worker-connections.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { type Clock, systemClock } from "#common/resilience/clock.ts";
import { createDrain } from "#common/service/drain.ts";
import type { Log } from "#common/service/log.ts";
import { type RunningService, runService } from "#common/service/run-service.ts";
import { EgressServiceClient } from "#proto/egress.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { SanitizerServiceClient } from "#proto/sanitizer.ts";
import { createAdmission } from "./admission/admission.ts";
import { createExecutionIds } from "./admission/execution-ids.ts";
import { createHolds } from "./admission/holds.ts";
import { type RouterConfig, readRouterConfig } from "./config.ts";
import { createHandlers } from "./handlers.ts";
import { createProjectDirectory } from "./peers/projects.ts";
import { createExecutions } from "./queries/executions.ts";
import { ROUTER_SERVICE } from "./queries/reading-service.ts";
import { createAskWaiting } from "./queries/waiting.ts";
import { startClaiming } from "./run/claims.ts";
import { createDispatcher } from "./run/dispatcher.ts";
import type { UnderWay } from "./run/open-run.ts";
import { createStopElsewhere } from "./run/stop-elsewhere.ts";
import { startStorage } from "./storage/storage.ts";
import { observeStore } from "./store/observed.ts";
import { openStore } from "./store/open.ts";
import { startRetention } from "./store/retention.ts";

/**
 * Starts the router: opens the store, connects to the pool-manager, the sanitizer and the egress service, and
 * serves RouterService. Before the server listens, the router claims the executions that earlier routers left
 * unfinished. `machineClock`: the clock of this machine; stored times come from the database's clock instead.
 */
export async function startRouter(
  config: RouterConfig,
  log: Log,
  machineClock: Clock = systemClock,
): Promise<RunningService> {
  const circuits = createCircuits("airlock_router", machineClock, log);
  const { store, registry } = observeStore(
    await openStore(config.database, newRouterId(), machineClock, log, circuits),
    circuits.registry,
  );
  // All routers use the database's time, because a router whose machine has a wrong clock would otherwise
  // delete executions and idempotency keys of other routers too early.
  const clock: Clock = { ...machineClock, now: store.now };
  const edges = await openEdges("router", config, log);
  const poolManager = edges.connectTo(PoolManagerServiceClient, config.poolManagerAddress);
  const sanitizer = edges.connectTo(SanitizerServiceClient, config.sanitizerAddress);
  const egress = edges.connectTo(EgressServiceClient, config.egressAddress);
  const passes = openPassCheck("router", config, edges, machineClock);
  const clients = openClientGrants(config, edges, machineClock);
  const workers = createWorkerConnections(edges.tls);
  const projects = createProjectDirectory(poolManager, clock);
  const { maxUnfinished, maxStoredBytes: totalBytes } = config;
  const storage = startStorage({ store, projects, totalBytes, registry, clock, log });
  const underWay: UnderWay = new Map();
  const dispatcher = createDispatcher({
    store,
    underWay,
    storage,
    poolManager,
    sanitizer,
    egress,
    workers,
    clock,
    log,
    leavesRuns: config.leavesRuns,
  });
  const admission = createAdmission({
    store,
    storage,
    projects,
    dispatcher,
    clock,
    newId: createExecutionIds(clock),
    maxUnfinished,
    log,
  });
  const polls = createDrain();
  const stopElsewhere = createStopElsewhere({ store, workers, poolManager, clock, log });
  const executions = createExecutions(store, underWay, polls, stopElsewhere, clock, log);
  const holds = createHolds(store, projects, clock, log);
  const askWaiting = createAskWaiting(poolManager, storage, () => edges.health("sanitizer"));
  const readiness = async () => (await Promise.all([edges.readiness(), checkDatabase(store, clock)])).flat();
  const parts = { admission, executions, store, holds, askWaiting, readiness, log };
  const claims = startClaiming(store, dispatcher, clock, log);
  // Pending executions that earlier routers left are claimed before the server listens, so that they are run
  // before new submissions.
  await claims.takeUp();
  const server = await startGrpcServer(
    config.listen,
    [[ROUTER_SERVICE, createHandlers(parts)]],
    edges.tls,
    readiness,
    passes,
    clients,
  );
  const stopRetention = startRetention(store, config.retentionMs, clock, log);
  return {
    address: server.address,
    registry,
    async drain(graceMs) {
      polls.begin();
      stopRetention();
      await storage.stop();
      await claims.stop();
      await Promise.all([dispatcher.drain(graceMs), server.drain(graceMs)]);
      workers.close();
      clients?.close();
      edges.close();
      await store.close();
    },
  };
}

if (import.meta.main) await runService("router", readRouterConfig, startRouter);
