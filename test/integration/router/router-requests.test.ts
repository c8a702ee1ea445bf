import { makeGenericClientConstructor } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connect } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const LIMITS = { timeoutMs: 10_000 };
const UNKNOWN_ID = "00000000-0000-4000-8000-000000000000";

let services: TestServices;
beforeAll(async () => {
  services = await startServices({ demo: "" });
});
afterAll(() => services.close());

describe("the router refuses over gRPC what REST refuses", () => {
  const list = (change: object) =>
    callUnary(
      services.router,
      services.router.listExecutions,
      { project: "", status: 0, limit: 0, cursor: "", ...change },
      "router",
      LIMITS,
    );

  it.each([
    [{ status: 99 as ExecutionStatus }, /^status must be one of pending, running, .+, not 99\.$/],
    [{ limit: -1 }, /^limit must be from 1 to 200, or 0 for 50, not -1\.$/],
    [{ limit: 201 }, /^limit must be/],
  ])("a list with %j", async (change, message) => {
    await expect(list(change)).rejects.toMatchObject({ code: "invalid_request", message });
  });

  it.each([-1, 60_001])("a wait of %d ms", async (waitMs) => {
    await expect(services.get(UNKNOWN_ID, waitMs)).rejects.toMatchObject({
      code: "invalid_request",
      message: `wait_ms must be from 0 to 60000, not ${waitMs}.`,
    });
  });

  it("and takes what it documents", async () => {
    expect((await list({ status: ExecutionStatus.COMPLETED, limit: 200 })).executions).toEqual([]);
    await expect(services.get(UNKNOWN_ID, 60_000)).rejects.toMatchObject({ code: "execution_not_found" });
  });

  it("without a word of REST", async () => {
    const { router } = services;
    const ended = await services.submit({ project: "demo", code: "pass" });
    await services.get(ended, 60_000);
    const refusals = await Promise.allSettled([
      services.get(UNKNOWN_ID),
      callUnary(router, router.cancel, { executionId: ended }, "router", LIMITS),
      callUnary(router, router.respond, { executionId: ended, response: "x" }, "router", LIMITS),
      callUnary(router, router.retryDeadLetter, { executionId: ended, again: false }, "router", LIMITS),
    ]);
    for (const refusal of refusals) {
      expect(refusal.status).toBe("rejected");
      expect(String((refusal as PromiseRejectedResult).reason)).not.toMatch(
        /POST|GET|execution is (completed|error)/,
      );
    }
  });
});

it.each([
  ["router", "airlock.v1.RouterService"],
  ["pool-manager", "airlock.v1.PoolManagerService"],
  ["sanitizer", "airlock.v1.SanitizerService"],
  ["secrets", "airlock.v1.SecretsService"],
  ["egress", "airlock.v1.EgressService"],
])("the health of the %s can be asked by the name of its service", async (service, name) => {
  const client = connect(
    makeGenericClientConstructor(healthService, "Health") as never,
    services.address(service),
  ) as never;
  const check = (of: string) =>
    callUnary(client, (client as { check: never }).check, { service: of } as never, service as never, LIMITS);
  expect(await check(name)).toMatchObject({ status: "SERVING" });
  expect(await check("")).toMatchObject({ status: "SERVING" });
  await expect(check("airlock.v1.NoService")).rejects.toThrow();
  (client as { close(): void }).close();
});
