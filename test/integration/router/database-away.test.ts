import { randomUUID } from "node:crypto";
import { type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { retryDelayOf } from "../../support/retry-delay.ts";

const missing = postgresMissing();

describe.skipIf(missing)(`while PostgreSQL is away${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let services: TestServices;
  let gateway: TestGateway;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.remove());
  beforeEach(async () => {
    const { config } = await postgres.newDatabase();
    services = await startServices({ demo: "replicas: 1\n" }, { database: config });
    gateway = await openGateway(services);
  });
  afterEach(async () => {
    await gateway.stop();
    await services.close();
  });

  const expectAway = async (response: Response) => {
    const body = (await response.json()) as { code: string; detail: string };
    expect({ status: response.status, code: body.code }).toEqual({ status: 503, code: "unavailable" });
    expect(body.detail).toMatch(/database cannot be reached.+Try again/);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  };
  const ready = async () => {
    const response = await fetch(`${gateway.url}/ready`);
    return {
      status: response.status,
      retryAfter: response.headers.get("retry-after"),
      services: ((await response.json()) as { services: Record<string, string> }).services,
    };
  };
  const submitWith = (key: string) =>
    fetch(`${gateway.url}/execute`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ project: "demo", code: "set_result(7)" }),
    });

  it("while PostgreSQL is away, every call says so and when to come again, readiness names it, and all recovers by itself", async () => {
    const asks = await gateway.submit({ code: "set_result(llm.complete('?'))" });
    expect((await gateway.settled(asks)).status).toBe("awaiting_llm");
    expect((await ready()).status).toBe(200);

    await postgres.crash();
    const key = randomUUID();
    await expectAway(await gateway.post("/execute", { project: "demo", code: "pass" }));
    await expectAway(await submitWith(key));
    for (const path of [`/executions/${asks}`, `/executions/${asks}?wait=20`, "/executions"]) {
      await expectAway(await fetch(`${gateway.url}${path}`));
    }
    await expectAway(await gateway.post(`/executions/${asks}/respond`, { response: "hello" }));
    await expectAway(await gateway.post(`/executions/${asks}/cancel`, {}));
    const overGrpc = await new Promise<ServiceError>((resolve, reject) => {
      const request = { executionId: asks, waitMs: 0, maxBytes: 0 };
      services.router.getExecution(request, (error) => (error ? resolve(error) : reject(new Error("found"))));
    });
    expect(overGrpc.code).toBe(status.UNAVAILABLE);
    expect(retryDelayOf(overGrpc)).toBeGreaterThan(0);
    expect(await ready()).toEqual({
      status: 503,
      retryAfter: expect.stringMatching(/^\d+$/),
      services: expect.objectContaining({ database: "unavailable", router: "ready", sanitizer: "ready" }),
    });
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);

    await postgres.start();
    await expect.poll(async () => (await ready()).status, { timeout: 20_000 }).toBe(200);
    const again = await submitWith(key);
    expect(again.status).toBe(202);
    const { execution_id: id } = (await again.json()) as { execution_id: string };
    expect(await gateway.settled(id)).toMatchObject({ status: "completed", result: 7 });
    await gateway.respond(asks, "hello");
    expect(await gateway.settled(asks)).toMatchObject({ status: "completed", result: "hello" });
  });
});

describe.skipIf(missing)(`while PostgreSQL hangs${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let services: TestServices;
  let gateway: TestGateway;
  beforeAll(async () => {
    postgres = await startPostgres();
    const { config } = await postgres.newDatabase();
    services = await startServices({ demo: "replicas: 1\n" }, { database: config });
    gateway = await openGateway(services);
  });
  afterAll(async () => {
    await postgres.resume();
    await gateway.stop();
    await services.close();
    await postgres.remove();
  });
  const circuit = async (metric: string) =>
    Number(
      new RegExp(`^airlock_router_circuit_${metric} (\\d+)$`, "m").exec(await services.routerMetrics())?.[1],
    );

  it("while PostgreSQL hangs, callers soon get an error without waiting, and all recovers by itself", async () => {
    const id = await gateway.submit({ code: "set_result(1)" });
    expect(await gateway.settled(id)).toMatchObject({ result: 1 });
    expect(await circuit('state{circuit="database",project=""}')).toBe(0);
    await postgres.freeze();
    const first = await Promise.all(
      Array.from({ length: 20 }, () => fetch(`${gateway.url}/executions/${id}`)),
    );
    for (const response of first) {
      expect([503, 504]).toContain(response.status);
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    const refused = 'calls_total{circuit="database",project="",outcome="refused"}';
    const poll = () => fetch(`${gateway.url}/executions/${id}`);
    await expect
      .poll(async () => [(await poll()).status, (await circuit(refused)) > 0], { timeout: 40_000 })
      .toEqual([503, true]);
    expect(await circuit('opened_total{circuit="database",project=""}')).toBeGreaterThan(0);
    await postgres.resume();
    await expect.poll(async () => (await poll()).status, { timeout: 40_000 }).toBe(200);
    await expect.poll(() => circuit('state{circuit="database",project=""}'), { timeout: 40_000 }).toBe(0);
    expect(await gateway.run({ code: "set_result(2)" })).toMatchObject({ result: 2 });
  }, 120_000);
});

describe("while another service is away", () => {
  let services: TestServices;
  let gateway: TestGateway;
  beforeAll(async () => {
    services = await startServices({ demo: "replicas: 1\n" });
    gateway = await openGateway(services);
  });
  afterAll(async () => {
    await gateway.stop();
    await services.close();
  });

  it("calls that need the pool-manager say when it is away and when to come again, and recover by themselves", async () => {
    await services.stop("pool-manager");
    const calls = [
      () => gateway.post("/execute", { project: "demo", code: "set_result(1)" }),
      () => fetch(`${gateway.url}/projects`),
      () => gateway.post("/projects/demo/up", {}),
      () => fetch(`${gateway.url}/ready`),
    ];
    for (const call of calls) {
      const response = await call();
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({
        code: "unavailable",
        detail: expect.stringMatching(/pool-manager.+[Tt]ry again/),
      });
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    await services.start("pool-manager");
    await expect
      .poll(async () => (await fetch(`${gateway.url}/ready`)).status, { timeout: 20_000 })
      .toBe(200);
    expect(await gateway.run({ code: "set_result(1)" })).toMatchObject({ result: 1 });
  });
});
