import { makeGenericClientConstructor } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { SubmitRequest } from "#proto/router.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const MIB = 1024 * 1024;
const LIMITS = { timeoutMs: 10_000 };
const SLOW = { timeoutMs: 60_000 };
const UNKNOWN_ID = "00000000-0000-4000-8000-000000000000";

const settingsOf = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`K${n}`, "v"]));

let services: TestServices;
beforeAll(async () => {
  services = await startServices({ demo: "", big: "" });
});
afterAll(() => services.close());

describe("the router refuses over gRPC the same as REST", () => {
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
  ])("the router refuses over gRPC a list with %j", async (change, message) => {
    await expect(list(change)).rejects.toMatchObject({ code: "invalid_request", message });
  });

  it.each([-1, 60_001])("the router refuses over gRPC a wait of %d ms", async (waitMs) => {
    await expect(services.get(UNKNOWN_ID, waitMs)).rejects.toMatchObject({
      code: "invalid_request",
      message: `wait_ms must be from 0 to 60000, not ${waitMs}.`,
    });
  });

  const submit = (change: Partial<SubmitRequest>) => {
    const request = { ...SubmitRequest.create({ project: "big", code: "pass" }), ...change };
    return callUnary(services.router, services.router.submit, request, "router", SLOW);
  };

  it.each([
    ["more than 16 MiB", { memoryJson: `{"a":{"b":"${"x".repeat(20 * MIB)}"}}` }, "payload_too_large"],
    ["1,001 settings", { settings: settingsOf(1_001) }, "invalid_request"],
    ["200,000 settings", { settings: settingsOf(200_000) }, "invalid_request"],
    [
      "a setting called __proto__",
      { settings: JSON.parse('{"__proto__": "x", "A": "b"}') },
      "invalid_request",
    ],
    ['a setting with "="', { settings: { "A=B": "x" } }, "invalid_request"],
  ])(
    "the router refuses over gRPC a submission with %s",
    { timeout: SLOW.timeoutMs },
    async (_name, change, code) => {
      await expect(submit(change)).rejects.toMatchObject({ code });
    },
  );

  it("the router accepts over gRPC a submission as large as by REST", {
    timeout: SLOW.timeoutMs,
  }, async () => {
    const memoryJson = `{"a":{"b":"${"x".repeat(15 * MIB)}"}}`;
    const code = "set_result([len(settings.keys()), len(memory.get('a', 'b'))])";
    const { execution } = await submit({ code, settings: settingsOf(1_000), memoryJson });
    const ended = await services.get(execution?.executionId ?? "", 60_000);
    expect(ended).toMatchObject({ resultJson: `[1000,${15 * MIB}]` });
  });

  it("the router accepts over gRPC the documented limits of lists and waits", async () => {
    expect(
      (await list({ project: "demo", status: ExecutionStatus.COMPLETED, limit: 200 })).executions,
    ).toEqual([]);
    await expect(services.get(UNKNOWN_ID, 60_000)).rejects.toMatchObject({ code: "execution_not_found" });
  });

  it("the router's refusals over gRPC do not mention REST", async () => {
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
])("the health of the %s can be requested by the name of its service", async (service, name) => {
  const client = connectTo(
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
