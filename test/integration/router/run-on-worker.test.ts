import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import { createWorkerConnections, type WorkerConnections } from "#common/grpc/worker-connections.ts";
import { EndReason } from "#proto/execution.ts";
import { SanitizeChannel, type SanitizeRequest, type SanitizeResponse } from "#proto/sanitizer.ts";
import {
  RunDocument_Kind,
  type RunRequest,
  type RunResponse,
  type WorkerServiceServer,
  WorkerServiceService,
} from "#proto/worker.ts";
import type { LeaseSession } from "../../../services/router/peers/lease.ts";
import { runOnWorker } from "../../../services/router/run/follow-run.ts";
import { createInterruption } from "../../../services/router/run/interruption.ts";
import type { RunParts } from "../../../services/router/run/open-run.ts";
import { openOutputLog } from "../../../services/router/run/output-log.ts";
import { createResponseTimer } from "../../../services/router/run/response-timer.ts";
import type { EndedRun } from "../../../services/router/run/run-stream.ts";
import { createRunningTime } from "../../../services/router/run/running-time.ts";
import { startStopwatch } from "../../../services/router/run/stopwatch.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { type BreakableSocket, openBreakableSocket } from "../../support/breakable-socket.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";
import { GRANT } from "../../support/grant.ts";
import { startHarness } from "../sanitizer/sanitizer-harness.ts";

const ID = "0001";
const MAX_BREAKS_IN_ROW = 5;
const log = pino({ level: "silent" });

let harness: Awaited<ReturnType<typeof startHarness>>;
let store: ExecutionStore;
let workers: WorkerConnections;
let clock: FakeClock;
let worker: GrpcServer;
let way: BreakableSocket;
/** How many conversations have begun. */
let begun: number;
let isOver: PromiseWithResolvers<void>;
/** How often the worker was called one that does not obey. */
let condemned: number;
let secretsVersion: string;
/** The llm request that the run sends at once when a conversation begins. */
let questions: string[];
/** The result that the worker reports; empty for none. */
let result: string;
/** Sends the router the sign that the script has ended and its documents are still checked. */
let sign: () => Promise<void>;

const socketOf = (name: string) => join(harness.directory, `${name}.sock`);
/** A worker with one run that ends when it is told to. */
const startWorker = async () => {
  const run = handlersFor(log).duplex<RunRequest, RunResponse>(async (stream) => {
    await stream.next();
    begun++;
    const say = (event: RunResponse["event"]) => stream.send({ event, executionTimeMs: 1 });
    sign = () => say({ $case: "document", value: { kind: 0, data: Buffer.alloc(0) } });
    for (const id of questions) await say({ $case: "llmRequest", value: { id, prompt: "?", model: "" } });
    await say({ $case: "output", value: { isStderr: false, data: Buffer.from("said"), cutBytes: 0 } });
    await isOver.promise;
    const data = Buffer.from(result);
    if (result !== "") await say({ $case: "document", value: { kind: RunDocument_Kind.RESULT, data } });
    const value = { endReason: EndReason.COMPLETED, executionTimeMs: 1, truncated: undefined };
    await say({ $case: "finished", value });
  });
  const handlers = { run } as unknown as WorkerServiceServer;
  worker = await startGrpcServer(`unix:${socketOf("worker")}`, [[WorkerServiceService, handlers]]);
};

beforeEach(async () => {
  harness = await startHarness();
  await harness.project("demo", {});
  secretsVersion = (await harness.resolve("demo")).version;
  store = openSqliteStore(join(harness.directory, "airlock.db"), "router");
  workers = createWorkerConnections();
  clock = createFakeClock();
  begun = 0;
  condemned = 0;
  questions = [];
  result = "";
  isOver = Promise.withResolvers();
  await startWorker();
  way = await openBreakableSocket(socketOf("way"), socketOf("worker"));
});
afterEach(async () => {
  isOver.resolve();
  workers.close();
  way.close();
  await worker.drain(0);
  await store.close();
  await harness.stop();
});

const grant = () => ({ ...GRANT, workerAddress: `unix:${socketOf("way")}`, secretsVersion });

async function follow(timeoutMs = 86_400_000, sanitizer = harness.sanitizerClient): Promise<EndedRun> {
  const condemn = async () => {
    condemned++;
  };
  const free = async () => undefined;
  const lost = new Promise<never>(() => undefined);
  const lease = { lost, condemn, park: free, resume: free } as LeaseSession;
  const plan = {
    grant: grant(),
    timeoutMs,
    beginningMs: 0,
    entry: { kind: "attach", executionId: ID, epoch: 1 },
  } as const;
  const stopwatch = startStopwatch(clock);
  const responseTimer = createResponseTimer(stopwatch);
  const run = {
    ...{ executionId: ID, project: "demo", interruption: createInterruption(), lease },
    output: openOutputLog(store, ID, clock, () => undefined),
    stopwatch,
    responseTimer,
    redactions: [],
    runningTime: createRunningTime(responseTimer, 0),
  };
  const parts = { store, workers, clock, log, sanitizer } as unknown as RunParts;
  return await runOnWorker(plan, run, parts);
}

async function breakOff(): Promise<void> {
  const before = begun;
  way.cut();
  await expect.poll(() => begun).toBe(before + 1);
}

it("a run on a network that breaks now and then is followed to its end", async () => {
  const followed = follow();
  await expect.poll(() => begun).toBe(1);
  for (let hour = 0; hour < 2; hour++) {
    for (let n = 0; n < MAX_BREAKS_IN_ROW; n++) await breakOff();
    await clock.advance(60_000);
  }
  isOver.resolve();
  expect((await followed).ending).toMatchObject({ reason: "completed" });
});

it("a run whose conversation breaks again and again is given up", async () => {
  const followed = follow();
  followed.catch(() => undefined);
  await expect.poll(() => begun).toBe(1);
  for (let n = 0; n < MAX_BREAKS_IN_ROW; n++) {
    await breakOff();
    await clock.advance(11_000);
  }
  way.close();
  await expect(followed).rejects.toMatchObject({ code: "unavailable" });
});

it("a worker that has reported how its run ended is not late while the sanitizer waits for the secrets service", async () => {
  (await harness.open("demo", secretsVersion)).cancel();
  const followed = follow(1_000);
  await expect.poll(() => begun).toBe(1);
  // Values that are a second old are asked for again.
  await sleep(1_100);
  await harness.stopSecrets();
  isOver.resolve();
  // Its time, and that in which the sanitizer has to answer.
  await expect.poll(() => clock.waiting()).toBe(2);
  await clock.advance(15_000);
  expect(condemned).toBe(0);
  await harness.restartSecrets();
  expect((await followed).ending).toMatchObject({ reason: "completed" });
});

it("a worker that sends nothing is condemned ten seconds after its run's timeout", async () => {
  const followed = follow(1_000);
  followed.catch(() => undefined);
  await expect.poll(() => begun).toBe(1);
  await clock.advance(10_900);
  expect(condemned).toBe(0);
  await clock.advance(200);
  expect(condemned).toBe(1);
  await expect(followed).rejects.toMatchObject({ reason: "worker_lost" });
});

it("a worker that says that it still checks the result is not late, and is condemned when it falls silent", async () => {
  const followed = follow(1_000);
  followed.catch(() => undefined);
  await expect.poll(() => begun).toBe(1);
  await clock.advance(900);
  for (let second = 0; second < 30; second++) {
    await sign();
    // The router reads the sign while the clock stands still.
    await sleep(20);
    await clock.advance(1_000);
  }
  expect(condemned).toBe(0);
  await clock.advance(8_000);
  expect(condemned).toBe(0);
  await clock.advance(2_000);
  expect(condemned).toBe(1);
  await expect(followed).rejects.toMatchObject({ reason: "worker_lost" });
});

it("an llm request that comes while the router still has the one before open is asked after it", async () => {
  const submission = { executionId: ID, project: "demo", code: "", settings: {}, memoryJson: "" };
  await store.insert({ ...submission, timeoutMs: 1_000, createdAtMs: 0 });
  await store.start(ID, 0, grant());
  questions = ["llm_1", "llm_2"];
  const followed = follow();
  const open = async () => {
    const state = (await store.get(ID))?.state;
    return state?.status === "awaiting_llm" ? state.llmRequest.id : undefined;
  };
  for (const id of questions) {
    await expect.poll(open).toBe(id);
    await clock.advance(1_000);
    expect(await open()).toBe(id);
    await store.respond(ID, id, "an answer");
  }
  isOver.resolve();
  expect((await followed).ending).toMatchObject({ reason: "completed" });
});

it("the end of a run's output and its result go to the sanitizer together, so that the run waits for it once", async () => {
  result = '"done"';
  // What is written to the sanitizer's stream, and what it answers, in order.
  const seen: string[] = [];
  const nameOf = (channel: SanitizeChannel) =>
    channel === SanitizeChannel.STDOUT ? "stdout" : channel === SanitizeChannel.RESULT ? "result" : "other";
  const client = harness.sanitizerClient;
  const sanitize = (...args: unknown[]) => {
    const stream = client.sanitize(...(args as []));
    const write = stream.write.bind(stream);
    stream.write = (message: SanitizeRequest, ...more: unknown[]) => {
      if (message.message?.$case === "chunk" && message.message.value.end)
        seen.push(`end of ${nameOf(message.message.value.channel)}`);
      return write(message, ...(more as []));
    };
    stream.on("data", ({ channel, end }: SanitizeResponse) => {
      if (end) seen.push(`answer on ${nameOf(channel)}`);
    });
    return stream;
  };
  const observed = new Proxy(client, {
    get: (target, name) => (name === "sanitize" ? sanitize : Reflect.get(target, name)),
  });
  const followed = follow(86_400_000, observed);
  await expect.poll(() => begun).toBe(1);
  isOver.resolve();
  expect((await followed).ending).toMatchObject({ reason: "completed", resultJson: result });
  expect(seen).toEqual(["end of stdout", "end of result", "answer on stdout", "answer on result"]);
});
