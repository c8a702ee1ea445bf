import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hasCode } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import { fingerprintOf } from "#common/idempotency.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { EndReason, ExecutionStatus } from "#proto/execution.ts";
import { type RouterServiceClient, SubmitRequest, type SubmitResponse } from "#proto/router.ts";
import { openPostgresStore } from "../../../services/router/store/postgres/store.ts";
import {
  postgresMissing,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../harness/postgres.ts";
import { startServices, type TestRouter, type TestServices } from "../../harness/services.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const missing = postgresMissing();
const HOUR_MS = 3_600_000;

async function submit(
  router: RouterServiceClient,
  request: Partial<SubmitRequest>,
): Promise<{ id: string } & Pick<SubmitResponse, "replayed">> {
  const full = SubmitRequest.fromPartial({ project: "demo", code: "set_result(1)", ...request });
  const limits = { timeoutMs: 20_000 };
  const { execution, replayed } = await callUnary(router, router.submit, full, "router", limits);
  return { id: execution?.executionId ?? "", replayed };
}

describe("an idempotency key, by gRPC", () => {
  let services: TestServices;
  beforeAll(async () => {
    services = await startServices(
      { demo: "replicas: 1\n", full: "replicas: 1\nlimits: {queue: 1}\n", passing: "replicas: 1\n" },
      { retentionMs: 1_000 },
    );
  });
  afterAll(() => services.close());

  it("an idempotency key by gRPC is checked like by REST", async () => {
    for (const idempotencyKey of ["", "x".repeat(256), "two words", "\u00e9"]) {
      await expect(submit(services.router, { idempotencyKey })).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining("1 to 255 visible ASCII"),
      });
    }
  });

  it("an idempotency key by gRPC returns its execution even if its project is full by now, or gone", async () => {
    const code = "import time; time.sleep(60)";
    for (const project of ["full", "passing"]) {
      const request = { project, code, idempotencyKey: randomUUID() };
      const first = await submit(services.router, request);
      if (project === "passing") {
        const status = async () => (await services.get(first.id)).status;
        await expect.poll(status).toBe(ExecutionStatus.RUNNING);
        await rm(join(services.directory, "projects", "passing.yaml"));
      }
      await expect
        .poll(() => submit(services.router, { project, code }).catch(({ code: refusal }) => refusal))
        .toBe(project === "full" ? "queue_full" : "project_not_found");
      expect(await submit(services.router, request)).toEqual({ id: first.id, replayed: true });
    }
  });

  it("an idempotency key by gRPC does not run a forgotten execution again", async () => {
    const request = { idempotencyKey: randomUUID() };
    const { id } = await submit(services.router, request);
    await services.get(id, 20_000);
    await expect
      .poll(() => services.get(id).catch(({ code }) => code), { timeout: 20_000 })
      .toBe("execution_not_found");
    await expect(submit(services.router, request)).rejects.toMatchObject({
      code: "execution_forgotten",
      message: expect.stringContaining("not run again"),
    });
    await expect(submit(services.router, { ...request, code: "pass" })).rejects.toMatchObject({
      code: "idempotency_key_reused",
    });
  });
});

describe.skipIf(missing)(`an idempotency key at two routers${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  let services: TestServices;
  let a: RouterServiceClient;
  let b: TestRouter;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.remove());
  beforeEach(async () => {
    database = await postgres.newDatabase();
    services = await startServices({ demo: "replicas: 1\n" }, { database: database.config });
    a = services.router;
    b = await services.addRouter();
  });
  afterEach(() => services.close());

  it("an idempotency key at two routers starts one execution of 100 racing requests", async () => {
    const request = { idempotencyKey: randomUUID() };
    let repeated = 0;
    // A machine that stands still for seconds makes some wait too long for a connection; the key makes it safe to
    // repeat.
    const insist = async (router: RouterServiceClient): Promise<Awaited<ReturnType<typeof submit>>> => {
      try {
        return await submit(router, request);
      } catch (error) {
        if (!hasCode(error, "unavailable") || ++repeated > 100) throw error;
        return await insist(router);
      }
    };
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => insist(n % 2 ? a : b.client)));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    // The first request, too, may have got only "unavailable".
    const first = answers.filter(({ replayed }) => !replayed).length;
    expect(first).toBeLessThanOrEqual(1);
    expect(first + repeated).toBeGreaterThan(0);
    expect(await database.sql("SELECT count(*)::int FROM executions")).toEqual([{ count: 1 }]);
  });

  it("an idempotency key at two routers starts one of two racing requests with different bodies, and refuses the other", async () => {
    for (let round = 0; round < 10; round++) {
      const idempotencyKey = randomUUID();
      const answers = await Promise.allSettled([
        submit(a, { code: "set_result('a')", idempotencyKey }),
        submit(b.client, { code: "set_result('b')", idempotencyKey }),
      ]);
      const [lost, ...more] = answers.filter(({ status }) => status === "rejected");
      expect(more).toEqual([]);
      expect(lost).toMatchObject({ reason: { code: "idempotency_key_reused" } });
    }
  });

  it.each([
    ["ahead", 26 * HOUR_MS],
    ["behind", -26 * HOUR_MS],
  ])(
    "a router whose machine's clock is a day %s deletes nothing of other routers, and stores the database's time",
    async (_direction, wrongMs) => {
      const request = { idempotencyKey: randomUUID() };
      const first = await submit(a, request);
      await services.get(first.id, 20_000);
      const wrong = await services.addRouter({ ...systemClock, now: () => Date.now() + wrongMs });
      const other = await submit(wrong.client, {});
      expect(await services.get(other.id, 20_000)).toMatchObject({ status: ExecutionStatus.COMPLETED });
      const swept = await submit(wrong.client, {});
      // A router deletes for the first time a second after its start.
      await sleep(3_000);
      expect(await submit(a, request)).toEqual({ id: first.id, replayed: true });
      expect(await services.get(first.id)).toMatchObject({ status: ExecutionStatus.COMPLETED });
      const { createdAtMs, startedAtMs, endedAtMs } = await services.get(swept.id, 20_000);
      for (const storedMs of [createdAtMs, startedAtMs, endedAtMs]) {
        expect(Math.abs((storedMs ?? 0) - Date.now())).toBeLessThan(60_000);
      }
      expect([swept.id, first.id, other.id].sort()).toEqual([first.id, other.id, swept.id]);
    },
  );

  it("an idempotency key at two routers finds an execution whose router died before it could answer, and it runs once", async () => {
    const idempotencyKey = randomUUID();
    const request = SubmitRequest.fromPartial({ project: "demo", code: "set_result(6 * 7)", idempotencyKey });
    // All that is left of such a router: its row, and a heartbeat that is old. Its clock never moves on.
    const silent = pino({ level: "silent" });
    const dead = await openPostgresStore(database.config, "dead", createFakeClock(), silent);
    const { project, code } = request;
    const submission = {
      executionId: "0001",
      project,
      code,
      timeoutMs: 60_000,
      settings: {},
      memoryJson: "{}",
    };
    const idempotency = { key: idempotencyKey, fingerprint: await fingerprintOf(request) };
    expect(await dead.insert({ ...submission, createdAtMs: 1 }, { idempotency })).toBe(true);
    await database.sql("UPDATE routers SET seen_at = now() - interval '1 hour' WHERE router_id = 'dead'");

    expect(await submit(b.client, request)).toEqual({ id: "0001", replayed: true });
    expect(await submit(a, request)).toEqual({ id: "0001", replayed: true });
    await expect
      .poll(async () => (await services.get("0001", 5_000)).endReason, { timeout: 30_000 })
      .toBe(EndReason.COMPLETED);
    expect((await services.get("0001")).resultJson).toBe("42");
    expect(await database.sql("SELECT count(*)::int FROM executions")).toEqual([{ count: 1 }]);
    await dead.close();
  });
});
