import { afterAll, beforeAll, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { heldBytes } from "../../support/held-memory.ts";

const MIB = 1024 * 1024;
const COUNT = 6;
const SIZE = 12 * MIB;

let services: TestServices;
beforeAll(async () => {
  services = await startServices({ demo: "" });
});
afterAll(() => services.close());

it("paused executions keep nothing of their submissions in the router's memory", {
  timeout: 120_000,
}, async () => {
  const pause = async (memoryJson: string) => {
    const id = await services.submit({
      project: "demo",
      code: "set_result(len(memory.get('a', 'b')) + len(llm.complete('q')))",
      memoryJson,
    });
    expect(await services.get(id, 60_000)).toMatchObject({ status: ExecutionStatus.AWAITING_LLM });
    return id;
  };
  await pause('{"a":{"b":""}}');
  const before = await heldBytes();
  const ids: string[] = [];
  for (let n = 0; n < COUNT; n++) ids.push(await pause(`{"a":{"b":"${String(n).repeat(SIZE)}"}}`));
  expect((await heldBytes()) - before).toBeLessThan(SIZE);
  const { router } = services;
  for (const executionId of ids) {
    await callUnary(router, router.respond, { executionId, response: "four" }, "router", {
      timeoutMs: 10_000,
    });
    expect(await services.get(executionId, 60_000)).toMatchObject({ resultJson: String(SIZE + 4) });
  }
});
