import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { connectTo } from "#common/grpc/client.ts";
import { type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import { parseProjectFile } from "#common/projects/file.ts";
import { systemClock } from "#common/resilience/clock.ts";
import {
  PoolManagerServiceClient,
  type PoolManagerServiceServer,
  PoolManagerServiceService,
} from "#proto/pool_manager.ts";
import { serveLease } from "../../../services/pool-manager/lease-handler.ts";
import { createWorkerPlaces } from "../../../services/pool-manager/pool/places.ts";
import { createPool, type Pool } from "../../../services/pool-manager/pool/pool.ts";
import type { Pools } from "../../../services/pool-manager/pool/pools.ts";
import type { Worker } from "../../../services/pool-manager/worker/worker.ts";
import { openLease } from "../../../services/router/peers/lease.ts";

const never = new Promise<string>(() => undefined);
// A worker that outlives its pool-manager, as a container does; nothing runs on it.
const WORKER: Worker = {
  ...{ id: "w1", address: "unix:/w1", attachableRuns: [], posture: { layers: [], facts: [], packages: [] } },
  ...{ secretsVersion: () => "v1", network: () => false, refresh: async () => undefined },
  ...{ retiring: never, ending: never, gone: never },
  stop: async () => undefined,
};
const log = pino({ level: "silent" });

let directory: string;
let client: PoolManagerServiceClient;
let server: GrpcServer;
let pool: Pool;
/** How many leases were asked for since the start. */
let asked: number;

const address = () => `unix:${directory}/pool-manager.sock`;
const start = async (worker: Promise<Worker> = Promise.resolve(WORKER)) => {
  const project = parseProjectFile("demo.yaml", "name: demo\n");
  const places = createWorkerPlaces({ maxWorkers: 1, maxStarts: 1 }, systemClock);
  pool = createPool({ project: "demo", clock: systemClock, log, places, startWorker: async () => WORKER });
  pool.take(1, WORKER.id, () => worker);
  asked = 0;
  const open = async () => {
    asked++;
    return { project, pool };
  };
  const pools = { open, granted: () => undefined } as unknown as Pools;
  const lease = handlersFor(log).duplex<never, never>((stream, context) =>
    serveLease(stream, context, pools),
  );
  const handlers = { lease } as unknown as PoolManagerServiceServer;
  server = await startGrpcServer(address(), [[PoolManagerServiceService, handlers]]);
};
const leaseOf = (executionId: string) =>
  openLease(client, { project: "demo", executionId, workerId: "" }, systemClock);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-lease-"));
  await start();
  client = connectTo(PoolManagerServiceClient, address());
});
afterEach(async () => {
  client.close();
  await server.drain(0);
  await rm(directory, { recursive: true });
});

it("a paused execution does not take another's slot when the pool-manager is restarted", async () => {
  const paused = leaseOf("paused");
  await paused.granted();
  await paused.park();
  expect(pool.view()).toMatchObject({ running: 0, paused: 1 });
  await server.drain(0);
  await start();
  await expect.poll(() => pool.view()).toMatchObject({ running: 0, paused: 1 });
  const next = leaseOf("next");
  expect((await next.granted()).workerId).toBe("w1");
  const resumed = paused.resume();
  next.release();
  await resumed;
  expect(pool.view()).toMatchObject({ running: 1, paused: 0 });
  paused.release();
  await expect.poll(() => pool.view()).toMatchObject({ running: 0, paused: 0 });
});

it("an execution that pauses while the restarted pool-manager looks for its worker keeps its worker", async () => {
  const lease = leaseOf("pauses");
  await lease.granted();
  await server.drain(0);
  const coming = Promise.withResolvers<Worker>();
  await start(coming.promise);
  await expect.poll(() => asked).toBe(1);
  const parked = lease.park();
  coming.resolve(WORKER);
  await parked;
  expect(pool.view()).toMatchObject({ running: 0, paused: 1 });
  await lease.resume();
  lease.release();
});
