import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { clientDuplex } from "#common/grpc/client.ts";
import { createWorkerConnections, type WorkerConnections } from "#common/grpc/worker-connections.ts";
import { systemClock } from "#common/resilience/clock.ts";
import type { RunRequest, RunResponse } from "#proto/worker.ts";
import type { WorkerDriver } from "../../../services/pool-manager/drivers/driver.ts";
import { createProcessDriver } from "../../../services/pool-manager/drivers/process/driver.ts";
import { startWorker, type Worker } from "../../../services/pool-manager/worker/worker.ts";
import type { LeaseSession } from "../../../services/router/peers/lease.ts";
import { runOnWorker } from "../../../services/router/run/follow-run.ts";
import { createInterruption } from "../../../services/router/run/interruption.ts";
import type { RunParts } from "../../../services/router/run/open-run.ts";
import { openOutputLog } from "../../../services/router/run/output-log.ts";
import { createResponseTimer } from "../../../services/router/run/response-timer.ts";
import type { EndedRun } from "../../../services/router/run/run-stream.ts";
import { createRunningTime } from "../../../services/router/run/running-time.ts";
import { scriptToStart } from "../../../services/router/run/script-to-start.ts";
import { startStopwatch } from "../../../services/router/run/stopwatch.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { type BreakableSocket, openBreakableSocket } from "../../support/breakable-socket.ts";
import { projectOf, provision } from "../../support/driver-contract.ts";
import { startHarness } from "../sanitizer/sanitizer-harness.ts";

// As with containers: when one is gone, the next that is started may be given its address. The lease, which would say
// so, comes late here, as it does while the pool-manager is away, too.
const ROOT = join(import.meta.dirname, "..", "..", "..");
const ID = "0001";
const log = pino({ level: "silent" });
const project = projectOf("");
const { signal } = new AbortController();

let harness: Awaited<ReturnType<typeof startHarness>>;
let driver: WorkerDriver;
let store: ExecutionStore;
let workers: WorkerConnections;
let way: BreakableSocket | undefined;
const started: Worker[] = [];

const addressPath = () => join(harness.directory, "way.sock");

beforeEach(async () => {
  harness = await startHarness();
  await harness.project("contract", {});
  store = openSqliteStore(join(harness.directory, "airlock.db"), "router");
  workers = createWorkerConnections();
  driver = createProcessDriver({
    workerDirectory: join(ROOT, "worker"),
    descriptorsPath: join(ROOT, "proto", "airlock.binpb"),
    python: process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python"),
    runDirectory: join(harness.directory, "run"),
    ...{ dataDirectory: harness.directory, log },
  });
  await driver.prepare(project, () => {}, signal);
});
afterEach(async () => {
  workers.close();
  way?.close();
  for (const worker of started.splice(0)) await worker.stop();
  await driver.close();
  await store.close();
  await harness.stop();
});

/** Starts a worker, and leads the one address to it. */
async function startWorkerHere(id: string): Promise<Worker> {
  const launch = () => driver.start(project, id);
  const { version: secretsVersion } = await harness.resolve(project.name);
  const values = provision(project);
  const provide = async () => ({ ...values, request: { ...values.request, secretsVersion } });
  const parts = { project, workerId: id, provide, log };
  const worker = await startWorker(launch, parts, signal);
  started.push(worker);
  way = await openBreakableSocket(addressPath(), worker.address.replace("unix:", ""));
  return worker;
}

async function run(worker: Worker, code: string): Promise<EndedRun> {
  const submission = {
    ...{ executionId: ID, project: project.name, code, settings: {}, memoryJson: "" },
    ...{ timeoutMs: 60_000, createdAtMs: Date.now() },
  };
  const { version: secretsVersion } = await harness.resolve(project.name);
  const at = { workerId: worker.id, workerAddress: `unix:${addressPath()}` };
  const grant = { ...at, secretsVersion, llmTimeoutMs: 60_000, network: false };
  await store.insert(submission);
  await store.start(ID, Date.now(), grant);
  const lease = { lost: new Promise<never>(() => undefined) } as LeaseSession;
  const script = scriptToStart({ executionId: ID, epoch: 1 }, store, submission);
  const entry = { kind: "start", script, network: undefined } as const;
  const parts = { store, workers, clock: systemClock, log, sanitizer: harness.sanitizerClient };
  const stopwatch = startStopwatch(systemClock);
  const responseTimer = createResponseTimer(stopwatch);
  return await runOnWorker(
    { grant, timeoutMs: submission.timeoutMs, beginningMs: 0, entry },
    {
      ...{ executionId: ID, project: project.name, interruption: createInterruption(), lease },
      output: openOutputLog(store, ID, systemClock, () => undefined),
      stopwatch,
      responseTimer,
      redactions: [],
      runningTime: createRunningTime(responseTimer, 0),
    },
    parts as unknown as RunParts,
  );
}

it("a run whose worker is gone does not run again on the worker that has its address now", async () => {
  const first = await startWorkerHere("first");
  const followed = run(first, "import time\nprint('on', flush=True)\ntime.sleep(30)");
  const ended = expect(followed).rejects.toMatchObject({ code: "worker_lost" });
  await expect.poll(async () => (await store.get(ID))?.stdout).toBe("on\n");
  way?.close();
  await first.stop();
  const second = await startWorkerHere("second");
  await ended;
  const seek = clientDuplex<RunRequest, RunResponse>(workers.to(second.address).run(), "worker");
  await seek.send({ message: { $case: "attach", value: { executionId: ID, workerId: "second", epoch: 1 } } });
  await expect(seek.next()).rejects.toMatchObject({ code: "run_unknown", origin: "peer" });
});

it("a run that is started again on a worker that has started it already is followed", async () => {
  const worker = await startWorkerHere("w");
  const code = "import time\nprint('on', flush=True)\ntime.sleep(0.5)\nprint('off')";
  const earlier = clientDuplex<RunRequest, RunResponse>(workers.to(`unix:${addressPath()}`).run(), "worker");
  const start = { executionId: ID, workerId: "w", code, timeoutMs: 60_000, settings: {}, memoryJson: "" };
  await earlier.send({
    message: { $case: "start", value: { ...start, epoch: 1, network: undefined, secretsVersion: "" } },
  });
  await earlier.next();
  earlier.cancel();
  const { ending } = await run(worker, code);
  expect(ending).toMatchObject({ reason: "completed" });
  await expect.poll(async () => (await store.get(ID))?.stdout).toBe("on\noff\n");
});
