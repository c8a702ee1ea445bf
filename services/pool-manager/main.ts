import { availableParallelism } from "node:os";
import { v7 as newId } from "uuid";
import { callUnary } from "#common/grpc/client.ts";
import { openClientGrants } from "#common/grpc/client-grants.ts";
import { openEdges } from "#common/grpc/edges.ts";
import { openPassCheck } from "#common/grpc/pass-check.ts";
import { startGrpcServer } from "#common/grpc/server.ts";
import { openProjectCatalogue } from "#common/projects/catalogue.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock as clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { type RunningService, runService } from "#common/service/run-service.ts";
import { PoolManagerServiceService } from "#proto/pool_manager.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import { createCheckedCatalogue } from "./checked-catalogue.ts";
import { type PoolManagerConfig, readPoolManagerConfig } from "./config.ts";
import { createOwnDriver } from "./drivers/create-driver.ts";
import { createHandlers } from "./handlers.ts";
import { openLockedCatalogue } from "./packages/locked-catalogue.ts";
import { createWorkerPlaces } from "./pool/places.ts";
import { createPools } from "./pool/pools.ts";
import { createProvisioning } from "./worker/provisioning.ts";
import { watchProvisioning } from "./worker/refused-values.ts";

const CHECK_MS = 1_000;

/**
 * Starts the pool-manager. Before it listens, it takes over the workers that an earlier pool-manager left
 * running. Other workers start when their project is first used.
 */
export async function startPoolManager(config: PoolManagerConfig, log: Log): Promise<RunningService> {
  const { projectsDirectory } = config;
  const files = await openLockedCatalogue(
    await openProjectCatalogue(projectsDirectory),
    projectsDirectory,
    clock,
    log,
  );
  const edges = await openEdges("pool-manager", config, log);
  const secrets = edges.connectTo(SecretsServiceClient, config.secretsAddress);
  const passes = openPassCheck("pool-manager", config, edges, clock);
  const clients = openClientGrants(config, edges, clock);
  const circuits = createCircuits("airlock_pool", clock, log);
  const driver = await createOwnDriver(config, log, circuits);
  const checks = [() => askSecretProblems(secrets)];
  const catalogue = createCheckedCatalogue(files, driver.refusal, checks, clock, log);
  // The first check of all projects. The start does not wait for it, because the secrets service may be slow.
  void catalogue.refresh().catch(() => undefined);
  const values = watchProvisioning(createProvisioning(secrets, clock), log);
  const { maxWorkers } = config;
  const places = createWorkerPlaces({ maxWorkers, maxStarts: Math.max(2, availableParallelism()) }, clock);
  const shared = { catalogue, files, driver, values, circuits, places, maxWorkers };
  const { needsNetworkNamespace } = config;
  const pools = createPools({ ...shared, needsNetworkNamespace, clock, newId, log, tls: edges.tls });
  await pools.takeOver();
  const readiness = async () => (await Promise.all([edges.readiness(), driver.readiness()])).flat();
  const server = await startGrpcServer(
    config.listen,
    [[PoolManagerServiceService, createHandlers(pools, readiness, log)]],
    edges.tls,
    readiness,
    passes,
    clients,
  );
  return {
    address: server.address,
    registry: circuits.registry,
    async drain(graceMs) {
      await pools.close(graceMs);
      await server.drain(graceMs);
      clients?.close();
      edges.close();
    },
  };
}

async function askSecretProblems(secrets: SecretsServiceClient): Promise<ReadonlyMap<string, string>> {
  const limits = { timeoutMs: CHECK_MS };
  const { problems } = await callUnary(secrets, secrets.checkSecrets, {}, "secrets service", limits);
  return new Map(problems.map(({ project, problem }) => [project, problem]));
}

if (import.meta.main) await runService("pool-manager", readPoolManagerConfig, startPoolManager);
