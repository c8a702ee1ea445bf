import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isServed } from "#common/service/unix-socket.ts";
import type { WorkerDriver } from "../../../services/pool-manager/drivers/driver.ts";
import { createProcessDriver } from "../../../services/pool-manager/drivers/process/driver.ts";
import { startWorker, type Worker } from "../../../services/pool-manager/worker/worker.ts";
import { type BreakableSocket, openBreakableSocket } from "../../support/breakable-socket.ts";
import { projectOf, provision } from "../../support/driver-contract.ts";
import { belowOf } from "../../support/process-usage.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const log = pino({ level: "silent" });
const project = projectOf("");
const { signal } = new AbortController();

let directory: string;
let driver: WorkerDriver;
let way: BreakableSocket;
let worker: Worker;
/** How the worker went; undefined while it is there. */
let gone: string | undefined;
/** How much later than the end of its status stream its own end is heard of. */
let heardLaterMs = 0;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-w-"));
  driver = createProcessDriver({
    workerDirectory: join(ROOT, "worker"),
    descriptorsPath: join(ROOT, "proto", "airlock.binpb"),
    python: process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python"),
    ...{ runDirectory: join(directory, "run"), dataDirectory: directory, log },
  });
  await driver.prepare(project, () => {}, signal);
  const launch = async () => {
    const launched = await driver.start(project, "w");
    const address = join(directory, "way.sock");
    way = await openBreakableSocket(address, launched.address.replace("unix:", ""));
    const heard = launched.gone.then((how) => sleep(heardLaterMs, how));
    return { ...launched, gone: heard, address: `unix:${address}` };
  };
  worker = await startWorker(
    launch,
    { project, workerId: "w", provide: async () => provision(project), log },
    signal,
  );
  gone = undefined;
  heardLaterMs = 0;
  void worker.gone.then((how) => {
    gone = how;
  });
});
afterEach(async () => {
  way.close();
  await worker.stop();
  await driver.close();
  await rm(directory, { recursive: true, force: true });
});

it("a worker stays when the connection to it breaks, however often, and its messages arrive again", async () => {
  for (let n = 0; n < 3; n++) {
    const before = way.count();
    way.cut();
    await expect.poll(() => way.count()).toBeGreaterThan(before);
  }
  expect(gone).toBeUndefined();
});

it("a worker that cannot be reached for some seconds stays", async () => {
  way.close();
  await sleep(4_000);
  const before = way.count();
  await way.open();
  await expect.poll(() => way.count()).toBeGreaterThan(before);
  await sleep(1_000);
  expect(gone).toBeUndefined();
});

it("a worker that cannot be reached for long is replaced", async () => {
  way.close();
  await expect.poll(() => gone, { timeout: 25_000 }).toBe("exited with status 0");
});

it("a worker that takes connections and does not answer is replaced", { timeout: 40_000 }, async () => {
  const [supervisor = 0] = await belowOf(process.pid);
  process.kill(supervisor, "SIGSTOP");
  way.cut();
  await expect.poll(() => gone, { timeout: 35_000 }).toBe("was killed by SIGKILL");
});

it("a worker that another process stops gets no run before its end is noticed", async () => {
  heardLaterMs = 1_000;
  const [supervisor = 0] = await belowOf(process.pid);
  process.kill(supervisor, "SIGTERM");
  expect(await Promise.race([worker.ending, worker.gone])).toBe("is ending");
  expect(await worker.gone).toBe("exited with status 0");
});

it("a worker is replaced at once when another worker has its address", async () => {
  const { address, stop } = await driver.start(project, "another");
  const another = address.replace("unix:", "");
  await expect.poll(() => isServed(another)).toBe(true);
  way.close();
  way = await openBreakableSocket(join(directory, "way.sock"), another);
  expect(await worker.ending).toBe("does not answer");
  await expect.poll(() => gone).toMatch(/\w/);
  await stop();
});
