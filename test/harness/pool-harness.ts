import { pino } from "pino";
import { beforeEach } from "vitest";
import type { AirlockError } from "#common/errors.ts";
import type { Lease } from "../../services/pool-manager/pool/lease.ts";
import { createWorkerPlaces, type WorkerPlaces } from "../../services/pool-manager/pool/places.ts";
import { createPool, type Pool } from "../../services/pool-manager/pool/pool.ts";
import type { Worker } from "../../services/pool-manager/worker/worker.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";

type TestWorker = Worker & {
  die(how: string): void;
  askToRetire(reason: string): void;
  stopped: boolean;
};
export let clock: FakeClock;
export let pool: Pool;
export let started: TestWorker[];
export let granted: string[];

let places: WorkerPlaces;
let nextFailure: () => AirlockError | undefined;
/** Awaited before each worker start ends. */
let nextStart: () => Promise<void>;

/** Lets the next worker starts end only when the returned function is called. */
export function holdStarts(): () => void {
  const held = Promise.withResolvers<void>();
  nextStart = () => held.promise;
  return () => {
    nextStart = async () => undefined;
    held.resolve();
  };
}

/** Makes a new pool for each test. `failure` gives the error of the next worker start; undefined means success. */
export function poolForEachTest(
  failure: () => AirlockError | undefined = () => undefined,
  maxWorkers = 32,
): void {
  beforeEach(() => {
    clock = createFakeClock();
    started = [];
    granted = [];
    places = createWorkerPlaces({ maxWorkers, maxStarts: 32 }, clock);
    nextFailure = failure;
    nextStart = async () => undefined;
    pool = openPool("demo");
  });
}

/** A pool of another project that shares the worker places with `pool`. */
export function openPool(project: string, keepsWorkers = false): Pool {
  return createPool({
    ...{ project, keepsWorkers },
    clock,
    log: pino({ level: "silent" }),
    places,
    startWorker: async () => {
      const problem = nextFailure();
      await nextStart();
      if (problem !== undefined) throw problem;
      const worker = createWorker(`w${started.length + 1}`);
      started.push(worker);
      return worker;
    },
  });
}

export function createWorker(id: string, attachableRuns: Worker["attachableRuns"] = []): TestWorker {
  const gone = Promise.withResolvers<string>();
  const retiring = Promise.withResolvers<string>();
  const worker: TestWorker = {
    id,
    address: `unix:/${id}`,
    posture: { layers: [], facts: [], packages: [] },
    attachableRuns,
    secretsVersion: () => "v1",
    network: () => false,
    refresh: async () => undefined,
    retiring: retiring.promise,
    ending: new Promise(() => undefined),
    gone: gone.promise,
    stop: async () => {
      worker.stopped = true;
      gone.resolve("stopped");
    },
    die: gone.resolve,
    askToRetire: retiring.resolve,
    stopped: false,
  };
  return worker;
}

export function acquire(executionId: string, defaultReplicas = 1, of = pool): Lease {
  const lease = of.acquire(defaultReplicas, executionId);
  lease.granted.then(
    (worker) => granted.push(`${executionId} on ${worker.id}`),
    () => undefined,
  );
  return lease;
}

export const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "resolved",
    (error: AirlockError) => error.code,
  );
