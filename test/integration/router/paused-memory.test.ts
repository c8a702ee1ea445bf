import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const MIB = 1024 * 1024;
const COUNT = 6;
const SIZE = 12 * MIB;

let services: TestServices;
beforeAll(async () => {
  services = await startServices({ demo: "" });
});
afterAll(() => services.close());

/** The bytes that the services in this process hold. */
async function held(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // Several collections, because finalizers of one collection free objects for the next.
  for (let n = 0; n < 4; n++) {
    collect();
    await sleep(100);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

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
  const before = await held();
  const ids: string[] = [];
  for (let n = 0; n < COUNT; n++) ids.push(await pause(`{"a":{"b":"${String(n).repeat(SIZE)}"}}`));
  expect((await held()) - before).toBeLessThan(SIZE);
  const { router } = services;
  for (const executionId of ids) {
    await callUnary(router, router.respond, { executionId, response: "four" }, "router", {
      timeoutMs: 10_000,
    });
    expect(await services.get(executionId, 60_000)).toMatchObject({ resultJson: String(SIZE + 4) });
  }
});
