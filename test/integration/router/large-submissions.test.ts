import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { SubmitRequest } from "#proto/router.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

let services: TestServices;
beforeAll(async () => {
  services = await startServices({ demo: "replicas: 1\n" });
});
afterAll(() => services.close());

const memoryOf = (keys: number) => `{"a":{${Array.from({ length: keys }, (_, n) => `"k${n}":1`).join(",")}}}`;
const LARGE = memoryOf(1_200_000);

/** Submits to the router, as the gateway does. */
async function submit(memoryJson: string, timeoutMs = 60_000) {
  const request = SubmitRequest.fromPartial({ project: "demo", code: "pass", memoryJson });
  return await callUnary(services.router, services.router.submit, request, "router", { timeoutMs });
}

const stored = async () => {
  const { executions } = await callUnary(
    services.router,
    services.router.listExecutions,
    { project: "demo", status: ExecutionStatus.UNSPECIFIED, limit: 50, cursor: "" },
    "router",
    { timeoutMs: 5_000 },
  );
  return executions.length;
};

describe("a large submission", () => {
  it("a large submission whose caller no longer waits is not stored", async () => {
    await submit("{}");
    const late = Promise.allSettled([submit(LARGE, 600), submit(LARGE, 600), submit(LARGE, 600)]);
    for (const outcome of await late) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "deadline_exceeded" } });
    }
    // What is checked behind them, is checked after them.
    await submit(LARGE);
    expect(await stored()).toBe(2);
  });

  it("a large submission does not wait for the end of larger ones that came before it", async () => {
    const ends: string[] = [];
    const send = (name: string, memory: string) => submit(memory).then(() => ends.push(name));
    const before = [send("large", LARGE), send("large", LARGE), send("large", LARGE)];
    await send("small", memoryOf(30_000));
    await Promise.all(before);
    expect(ends).toEqual(["small", "large", "large", "large"]);
  });
});
