import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

let services: TestServices | undefined;
let gateway: TestGateway;
let index: Server | undefined;
afterEach(async () => {
  await gateway.stop();
  await services?.close();
  index?.close();
  index?.closeAllConnections();
  index = undefined;
  vi.unstubAllEnvs();
});

const start = async (projects: Record<string, string>, maxWorkers?: number) => {
  services = await startServices(projects, { ...(maxWorkers && { maxWorkers }) });
  gateway = await openGateway(services);
  return services;
};

const up = async (project: string, replicas?: number) => {
  const response = await gateway.post(`/projects/${project}/up`, replicas === undefined ? {} : { replicas });
  return { status: response.status, body: (await response.json()) as { detail: string; replicas: number } };
};

/** How many workers there are, those on their way or ending included: each has a directory of its own. */
const workers = async () => (await readdir(join(services?.directory ?? "", "run")).catch(() => [])).length;

/** The slowest but one in twenty, of `count` runs one after the other, in ms. */
async function p95(project: string, count: number): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const startedAt = performance.now();
    expect(await gateway.run({ project, code: "set_result(1)" })).toMatchObject({ result: 1 });
    times.push(performance.now() - startedAt);
  }
  return times.sort((a, b) => a - b)[Math.ceil(count * 0.95) - 1] ?? 0;
}

describe("POST /projects/NAME/up", () => {
  it("POST /projects/NAME/up makes one pool of all calls and executions that come at once, which down stops", async () => {
    // While a project is broken, each call waits for one and the same look at the files.
    await start({ demo: "", broken: 'secrets: {NOPE: "${env:NOT_SET_ANYWHERE}"}\n' });
    const ups = Array.from({ length: 6 }, () => up("demo"));
    const runs = Array.from({ length: 4 }, () => gateway.run({ project: "demo", code: "set_result(1)" }));
    const [answers, executions] = await Promise.all([Promise.all(ups), Promise.all(runs)]);
    expect(answers.map(({ body }) => body)).toEqual(
      answers.map(() => expect.objectContaining({ status: "up", replicas: 1 })),
    );
    expect(executions).toEqual(runs.map(() => expect.objectContaining({ result: 1 })));
    expect(await workers()).toBe(1);
    expect((await gateway.post("/projects/demo/down", {})).status).toBe(200);
    await expect.poll(workers, { timeout: 10_000 }).toBe(0);
  });

  it("POST /projects/NAME/up is refused for too many workers, with the bound and its reason", async () => {
    await start(
      { plain: "", ranged: "replicas: {min: 1, max: 2}\n", huge: "limits: {memory_mb: 1048576}\n" },
      3,
    );
    expect(await up("plain", 100)).toMatchObject({
      status: 422,
      body: {
        code: "invalid_request",
        detail:
          "replicas must be from 1 to 3: this deployment may have 3 workers of all projects together (AIRLOCK_MAX_WORKERS). To stop the project, take it down.",
      },
    });
    expect((await up("ranged", 3)).body.detail).toContain(
      "from 1 to 2: its project file says replicas: {max: 2}.",
    );
    expect((await up("huge", 2)).body.detail).toMatch(
      /^replicas must be from 1 to 1: the machine has \d+ MB of memory, and one of the project's workers may use 1048704 MB/,
    );
    expect(await workers()).toBe(0);
    expect(await up("ranged", 2)).toMatchObject({ status: 200, body: { replicas: 2 } });
  });
});

describe("the workers of all projects", { timeout: 60_000 }, () => {
  it("the workers of all projects are no more than the deployment may have, and each project that has executions gets one", async () => {
    await start({ many: "replicas: 4\n", late: "" }, 2);
    const code = "import time; time.sleep(0.2)";
    let most = 0;
    let isOver = false;
    const watch = (async () => {
      while (!isOver) {
        most = Math.max(most, await workers());
        await sleep(20);
      }
    })();
    const ids = await Promise.all(
      Array.from({ length: 60 }, () => gateway.submit({ project: "many", code })),
    );
    await expect.poll(async () => (await gateway.project("many")).running, { timeout: 20_000 }).toBe(2);
    expect(await gateway.project("many")).toMatchObject({
      replicas: 4,
      detail: expect.stringContaining("All 2 workers that this deployment may have (AIRLOCK_MAX_WORKERS)"),
    });
    expect(await gateway.run({ project: "late", code: "set_result(1)" })).toMatchObject({ result: 1 });
    // The flood had not ended by then.
    expect((await gateway.project("many")).queue_depth).toBeGreaterThan(0);
    for (const id of ids) expect((await gateway.settled(id)).status).toBe("completed");
    isOver = true;
    await watch;
    expect(most).toBe(2);
  });
});

describe("a project that answers", { timeout: 120_000 }, () => {
  it("a project that answers stays as fast while another one starts many workers, a few at a time", async () => {
    await start({ many: "replicas: 24\n", quiet: "" });
    await p95("quiet", 3);
    const before = await p95("quiet", 20);
    await up("many");
    let most = 0;
    const times: number[] = [];
    for (let n = 0; n < 20; n++) {
      const { idle_workers: ready } = await gateway.project("many");
      // One of the workers belongs to the quiet project.
      most = Math.max(most, (await workers()) - 1 - Number(ready));
      times.push(await p95("quiet", 1));
    }
    const during = times.sort((a, b) => a - b)[18] ?? 0;
    process.stderr.write(
      `p95 ${Math.round(before)} ms before, ${Math.round(during)} ms during, ${most} starts\n`,
    );
    expect(most).toBeLessThanOrEqual(Math.max(2, availableParallelism()));
    expect(during).toBeLessThan(Math.max(2 * before, before + 300));
  });

  it("a project that starts is not delayed by projects whose starts fail slowly", async () => {
    index = createServer((_request, response) => {
      setTimeout(() => response.writeHead(404).end(), 4_000);
    }).listen(0, "127.0.0.1");
    await once(index, "listening");
    const { port } = index.address() as AddressInfo;
    vi.stubEnv("UV_DEFAULT_INDEX", `http://127.0.0.1:${port}/simple`);
    const names = Array.from({ length: 6 }, (_, n) => `broken-${n}`);
    const broken = names.map((name) => [name, `packages: [no-such-${name}]\nreplicas: 10\n`]);
    await start({ ...Object.fromEntries(broken), first: "", quiet: "" });
    const startedAlone = performance.now();
    expect(await gateway.run({ project: "first", code: "set_result(1)" })).toMatchObject({ result: 1 });
    const alone = performance.now() - startedAlone;
    const queued = names.flatMap((project) =>
      Array.from({ length: 10 }, () => gateway.submit({ project, code: "pass" })),
    );
    const ids = await Promise.all(queued);
    await sleep(500);
    const startedAt = performance.now();
    expect(await gateway.run({ project: "quiet", code: "set_result(1)" })).toMatchObject({ result: 1 });
    const beside = performance.now() - startedAt;
    process.stderr.write(`first answer ${Math.round(alone)} ms alone, ${Math.round(beside)} ms beside\n`);
    for (const id of ids) {
      expect(await gateway.settled(id)).toMatchObject({
        end_reason: "start_failed",
        error: expect.stringContaining("could not be installed"),
      });
    }
    expect(beside).toBeLessThan(2 * alone + 1_500);
  });
});
