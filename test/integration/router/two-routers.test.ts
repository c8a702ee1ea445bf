import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { EndReason, type Execution, ExecutionStatus } from "#proto/execution.ts";
import { type RouterServiceClient, SubmitRequest } from "#proto/router.ts";
import {
  postgresMissing,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../harness/postgres.ts";
import { startServices, type TestRouter, type TestServices } from "../../harness/services.ts";

const missing = postgresMissing();
const ASKS = "answer = llm.complete('Say hello')\nset_result(answer)";
const SLEEPS = "import time\nprint('started', flush=True)\ntime.sleep(60)";

describe.skipIf(missing)(`two routers on a real PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  let services: TestServices;
  let a: RouterServiceClient;
  let b: TestRouter;
  let notRecorded: string[];

  const call = async <Req>(
    router: RouterServiceClient,
    method: Parameters<typeof callUnary<Req, { execution?: Execution | undefined }>>[1],
    request: Req,
    timeoutMs = 20_000,
  ): Promise<Execution> => {
    const { execution } = await callUnary(router, method.bind(router), request, "router", { timeoutMs });
    if (!execution) throw new Error("no execution in the answer");
    return execution;
  };
  const submit = async (router: RouterServiceClient, code: string, project = "demo") =>
    (await call(router, router.submit, SubmitRequest.fromPartial({ project, code }))).executionId;
  const get = (router: RouterServiceClient, executionId: string, waitMs = 0) =>
    call(router, router.getExecution, { executionId, waitMs, maxBytes: 0 });
  const started = async (router: RouterServiceClient, executionId: string) => {
    await expect.poll(async () => (await get(router, executionId)).stdout).toBe("started\n");
  };

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => {
    await postgres.remove();
  });
  beforeEach(async () => {
    database = await postgres.newDatabase();
    notRecorded = [];
    const write = (line: string) => {
      const { msg, executionId } = JSON.parse(line) as { msg: string; executionId?: string };
      if (msg === "ending not recorded" && executionId) notRecorded.push(executionId);
    };
    services = await startServices(
      { demo: "replicas: 2\n", one: "replicas: 1\n" },
      { database: database.config, log: pino({}, { write }) },
    );
    a = services.router;
    b = await services.addRouter();
  });
  afterEach(async () => {
    await services.close();
  });

  it("an execution at one router is shown to clients that poll, list or wait at another router", async () => {
    const id = await submit(a, "print('out'); set_result(2**63 + 1)");
    const execution = await get(b.client, id, 20_000);
    expect(execution).toMatchObject({
      status: ExecutionStatus.COMPLETED,
      stdout: "out\n",
      resultJson: "9223372036854775809",
    });
    expect(await get(a, id)).toEqual(execution);
    const request = { project: "demo", status: ExecutionStatus.COMPLETED, limit: 10, cursor: "" };
    const list = await callUnary(b.client, b.client.listExecutions.bind(b.client), request, "router", {
      timeoutMs: 5_000,
    });
    expect(list.executions.map(({ executionId }) => executionId)).toEqual([id]);
  });

  it("a change at one router wakes a long poll at another router as soon as there is something to see", async () => {
    await get(a, await submit(a, "1"), 20_000);
    const id = await submit(a, "import time; time.sleep(1); set_result(1)");
    const execution = await get(b.client, id, 20_000);
    const lateMs = Date.now() - (execution.endedAtMs ?? 0);
    expect(execution.endReason).toBe(EndReason.COMPLETED);
    // Less than the five seconds after which it looks by itself.
    expect(lateMs).toBeLessThan(4_000);
  });

  it("an answer at one router reaches the script that another router runs", async () => {
    const id = await submit(a, ASKS);
    expect(await get(b.client, id, 20_000)).toMatchObject({
      status: ExecutionStatus.AWAITING_LLM,
      llmRequest: { prompt: "Say hello" },
    });
    const answer = { executionId: id, llmRequestId: undefined, response: "hello\0" };
    const answers = await Promise.allSettled([
      call(b.client, b.client.respond, answer),
      call(a, a.respond, answer),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await get(b.client, id, 20_000)).toMatchObject({ resultJson: '"hello\\u0000"' });
  });

  it("a cancellation at one router reaches an execution that another router runs, or that waits there for a worker", async () => {
    const running = await submit(a, SLEEPS, "one");
    const pending = await submit(a, "1", "one");
    await started(b.client, running);
    for (const executionId of [pending, running]) {
      const calledAtMs = Date.now();
      expect(await call(b.client, b.client.cancel, { executionId })).toMatchObject({
        status: ExecutionStatus.ERROR,
        endReason: EndReason.CANCELLED,
      });
      expect(Date.now() - calledAtMs).toBeLessThan(3_000);
    }
  });

  it("two routers keep to the limit of a project's queue together", async () => {
    await services.close();
    services = await startServices(
      { one: "replicas: 1\nlimits: {queue: 3}\n" },
      { database: (await postgres.newDatabase()).config },
    );
    b = await services.addRouter();
    const routers = [services.router, b.client, services.router];
    for (const router of routers) await submit(router, SLEEPS, "one");
    await expect(submit(b.client, "1", "one")).rejects.toMatchObject({ code: "queue_full" });
  });

  it("a router that stops gives back its pending executions to another router, and loses nothing of its runs", async () => {
    const runs = await submit(
      b.client,
      "import time; print('started', flush=True); time.sleep(6); set_result(1)",
      "one",
    );
    const waits = await Promise.all(
      Array.from({ length: 5 }, (_, n) => submit(b.client, `set_result(${n})`, "one")),
    );
    await started(a, runs);
    await b.stop(15_000);
    const [first, ...others] = await Promise.all([runs, ...waits].map((id) => get(a, id, 20_000)));
    expect(first).toMatchObject({ endReason: EndReason.COMPLETED, resultJson: "1" });
    expect(others.map(({ resultJson }) => resultJson)).toEqual(["0", "1", "2", "3", "4"]);
    const epochs = await database.sql(
      "SELECT epoch::int, count(*)::int FROM executions GROUP BY 1 ORDER BY 1",
    );
    expect(epochs).toEqual([
      { epoch: 1, count: 1 },
      { epoch: 2, count: 5 },
    ]);
  });

  it("a stopped router's running and paused executions go on at another router at once", async () => {
    const asks = await submit(b.client, ASKS);
    const runs = await submit(
      b.client,
      "import time\nfor n in range(30):\n    print(n, flush=True)\n    time.sleep(0.2)\nset_result('all')",
    );
    expect(await get(a, asks, 20_000)).toMatchObject({ status: ExecutionStatus.AWAITING_LLM });
    await expect.poll(async () => (await get(a, runs)).stdout).toContain("3\n");
    await b.stop(0);
    await call(a, a.respond, { executionId: asks, llmRequestId: undefined, response: "hello" });
    expect(await get(a, asks, 10_000)).toMatchObject({ resultJson: '"hello"' });
    expect(await get(a, runs, 20_000)).toMatchObject({
      endReason: EndReason.COMPLETED,
      stdout: Array.from({ length: 30 }, (_, n) => `${n}\n`).join(""),
    });
  });

  it("two routers run each of 60 executions once, however they came in", async () => {
    const code = "import os, uuid; print(uuid.uuid4()); set_result(1)";
    const ids = await Promise.all(Array.from({ length: 60 }, (_, n) => submit(n % 2 ? a : b.client, code)));
    const executions = await Promise.all(ids.map((id, n) => get(n % 3 ? a : b.client, id, 20_000)));
    for (const { endReason, stdout } of executions) {
      expect(endReason).toBe(EndReason.COMPLETED);
      expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    }
  });

  describe("while the database restarts", () => {
    it("two routers tell callers that the database restarts, and lose nothing that was accepted", async () => {
      const prints = await submit(
        a,
        "import time\nfor n in range(30):\n    print(n, flush=True)\n    time.sleep(0.1)\nset_result('all')",
      );
      const asks = await submit(b.client, ASKS);
      expect(await get(a, asks, 20_000)).toMatchObject({ status: ExecutionStatus.AWAITING_LLM });
      const waiting = await submit(b.client, SLEEPS, "one");
      const pending = await submit(b.client, "set_result('later')", "one");
      await started(a, waiting);
      await expect.poll(async () => (await get(a, prints)).stdout).toContain("3\n");

      const watched = Promise.allSettled([get(b.client, prints, 20_000)]);
      await postgres.crash();
      const refused = await Promise.allSettled([
        get(a, prints),
        submit(a, "1"),
        call(b.client, b.client.respond, { executionId: asks, llmRequestId: undefined, response: "x" }),
      ]);
      for (const result of refused) {
        expect(result).toMatchObject({
          reason: { code: "unavailable", message: expect.stringContaining("database cannot be reached") },
        });
      }
      const readiness = await callUnary(a, a.getRouterReadiness.bind(a), {}, "router", { timeoutMs: 5_000 });
      expect(readiness.dependencies.filter(({ ready }) => !ready)).toEqual([
        { name: "database", ready: false, detail: expect.stringContaining("database cannot be reached") },
      ]);
      await postgres.start();

      // Each router has a circuit breaker of its own, which may stay open for two seconds after the other's closed.
      for (const router of [a, b.client]) {
        await expect
          .poll(() =>
            get(router, prints).then(
              () => "up",
              () => "away",
            ),
          )
          .toBe("up");
      }
      const [watch] = await watched;
      // It may have read in the wrong moment, or slept through it all.
      if (watch.status === "rejected") expect(watch.reason).toMatchObject({ code: "unavailable" });
      else expect(watch.value).toMatchObject({ endReason: EndReason.COMPLETED });
      expect(await get(b.client, prints, 20_000)).toMatchObject({
        endReason: EndReason.COMPLETED,
        stdout: Array.from({ length: 30 }, (_, n) => `${n}\n`).join(""),
        resultJson: '"all"',
      });
      await call(a, a.respond, { executionId: asks, llmRequestId: undefined, response: "hello" });
      expect(await get(b.client, asks, 20_000)).toMatchObject({ resultJson: '"hello"' });
      expect(await call(a, a.cancel, { executionId: waiting })).toMatchObject({
        endReason: EndReason.CANCELLED,
      });
      expect(await get(a, pending, 20_000)).toMatchObject({ resultJson: '"later"' });
    });

    it("executions at two routers start, ask and end once the restarted database is back", async () => {
      const steps = {
        first: "time.sleep(1)",
        next: "set_result('next')",
        asks: "time.sleep(1)\nset_result(llm.complete('Say hello'))",
      };
      const run = (code: string, project = "demo") =>
        submit(a, `import time\nprint('started', flush=True)\n${code}`, project);
      // Their workers are up, so that all start at about the same time.
      const warm = await Promise.all([run("pass", "one"), run("time.sleep(1)"), run("time.sleep(1)")]);
      for (const id of warm) await get(a, id, 20_000);
      const first = await run(steps.first, "one");
      const next = await run(steps.next, "one");
      const asks = await run(steps.asks);
      const last = await run("time.sleep(5)\nset_result('last')");
      for (const id of [first, asks, last]) await started(a, id);
      await postgres.crash();
      // When the longest of them has ended, the others have met the outage, too.
      await expect.poll(() => notRecorded).toContain(last);
      await postgres.start();
      await expect
        .poll(() => get(b.client, asks, 1_000).catch(() => undefined))
        .toMatchObject({
          status: ExecutionStatus.AWAITING_LLM,
        });
      await call(b.client, b.client.respond, {
        executionId: asks,
        llmRequestId: undefined,
        response: "hello",
      });
      const ended = await Promise.all([first, next, asks, last].map((id) => get(b.client, id, 20_000)));
      expect(ended.map(({ resultJson }) => resultJson)).toEqual(["null", '"next"', '"hello"', '"last"']);
      for (const { endReason } of ended) expect(endReason).toBe(EndReason.COMPLETED);
    });
  });
});
