import { afterAll, beforeAll, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { startFlood } from "../../e2e/load/flooding/flood-harness.ts";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { longestStretchMs } from "../../support/stretches.ts";

const MAX_STRETCH_MS = 50;
const READS = 6;

let services: TestServices;
let gateway: TestGateway;
beforeAll(async () => {
  services = await startServices({ loud: "replicas: 1\n" }, { retentionMs: 3_600_000 });
  gateway = await openGateway(services);
}, 60_000);
afterAll(async () => {
  await gateway?.stop();
  await services?.close();
});

it("an execution of 28 MB that several clients read blocks neither router nor gateway", async () => {
  const module = new URL("../../e2e/load/floods/repeated-reads.ts", import.meta.url).href;
  const flood = await startFlood({ module, url: gateway.url, project: "loud" });
  const longestMs = await longestStretchMs(() => flood.awaitAnswers(READS), MAX_STRETCH_MS);
  const report = await flood.stop();
  expect(report.bad).toEqual([]);
  expect(longestMs).toBeLessThan(MAX_STRETCH_MS);
}, 300_000);

it("a refused answer or cancellation and a repeated submission read nothing of the execution's long texts", async () => {
  const { router } = services;
  const { executions } = await callUnary(
    router,
    router.listExecutions,
    { project: "loud", status: 0, limit: 1, cursor: "" },
    "router",
    { timeoutMs: 20_000 },
  );
  const executionId = executions[0]?.executionId ?? "";
  const limits = { timeoutMs: 20_000 };
  const refused = async () => {
    for (let n = 0; n < 20; n++) {
      await expect(callUnary(router, router.cancel, { executionId }, "router", limits)).rejects.toMatchObject(
        {
          code: "already_ended",
        },
      );
      await expect(
        callUnary(router, router.respond, { executionId, response: "x" }, "router", limits),
      ).rejects.toMatchObject({ code: "not_awaiting_llm" });
      await expect(
        callUnary(router, router.retryDeadLetter, { executionId, again: false }, "router", limits),
      ).rejects.toMatchObject({ code: "not_a_dead_letter" });
    }
  };
  expect(await longestStretchMs(refused, 20)).toBeLessThan(20);
}, 120_000);
