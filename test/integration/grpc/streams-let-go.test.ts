import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { queryObjects } from "node:v8";
import { afterAll, beforeAll, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const { ClientDuplexStreamImpl } = createRequire(import.meta.url)("@grpc/grpc-js/build/src/call.js");
const EACH = 8;
const LIMITS = { timeoutMs: 5_000 };

let services: TestServices;

beforeAll(async () => {
  services = await startServices({ demo: "replicas: 2\n" });
});
afterAll(() => services.close());

/** The number of duplex streams after a garbage collection: those of leases, runs and calls of the sanitizer. */
const streams = (): number => queryObjects(ClientDuplexStreamImpl, { format: "count" });

async function ended(executionId: string): Promise<void> {
  for (;;) {
    const { endReason, llmRequest } = await services.get(executionId, 10_000);
    if (endReason) return;
    if (!llmRequest) continue;
    const answer = { executionId, llmRequestId: llmRequest.id, response: "yes" };
    await callUnary(services.router, services.router.respond, answer, "router", LIMITS);
  }
}

it.each([
  ["complete", "set_result(1)"],
  ["fail", "raise ValueError('no')"],
  ["die", "import os; os._exit(3)"],
  ["print more than fits into a window", "print('x' * 3_000_000)"],
  ["ask", "print(llm.complete('?'))"],
  ["run out of time", "import time; time.sleep(20)"],
  ["are cancelled", "import time; time.sleep(20)"],
] as const)("the gRPC streams of executions that %s are released", async (how, code) => {
  const timeoutMs = how === "run out of time" ? 200 : 15_000;
  const ids = await Promise.all(Array.from({ length: EACH }, () => services.submit({ code, timeoutMs })));
  expect(streams()).toBeGreaterThan(0);
  if (how === "are cancelled") {
    await sleep(500);
    for (const executionId of ids) {
      await callUnary(services.router, services.router.cancel, { executionId }, "router", LIMITS);
    }
  }
  await Promise.all(ids.map(ended));
  await expect.poll(streams, { interval: 500 }).toBe(0);
});
