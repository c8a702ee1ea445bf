import { afterEach, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { ExecutionStatus, WaitingKind } from "#proto/execution.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

// Two paused executions store 36 MB, and three 54.
const LIMITS = "limits: {max_output_mb: 10, max_result_mb: 0.5, stored_mb: 40}\n";
const PRINTS_AND_ASKS = `import sys
print("x" * (9 << 20))
sys.stderr.write("y" * (9 << 20))
llm.complete("q")`;

let services: TestServices;
afterEach(() => services.close());

describe("a project whose executions under way store more than it may", () => {
  it("a project whose executions under way store too much starts pending ones when some have ended; no other project waits", async () => {
    services = await startServices({ demo: LIMITS, quiet: "" });
    const all: string[] = [];
    for (let n = 0; n < 6; n++) all.push(await services.submit({ code: PRINTS_AND_ASKS }));
    const quiet = await services.submit({ project: "quiet", code: "set_result(1)" });
    expect(await services.get(quiet, 60_000)).toMatchObject({ status: ExecutionStatus.COMPLETED });
    const inStatus = async (status: ExecutionStatus) => {
      const executions = await Promise.all(all.map((id) => services.get(id)));
      return executions.filter((each) => each.status === status);
    };
    await expect
      .poll(async () => (await inStatus(ExecutionStatus.AWAITING_LLM)).length, { timeout: 120_000 })
      .toBeGreaterThanOrEqual(3);
    await expect
      .poll(async () => (await inStatus(ExecutionStatus.PENDING))[0]?.waitingOn, { timeout: 40_000 })
      .toMatchObject({ kind: WaitingKind.QUEUE, detail: expect.stringContaining("waits for room to store") });
    const [waiting] = await inStatus(ExecutionStatus.PENDING);
    const paused = await inStatus(ExecutionStatus.AWAITING_LLM);
    expect(paused.length).toBeLessThan(6);
    for (const { executionId } of paused) {
      await callUnary(services.router, services.router.cancel, { executionId }, "router", {
        timeoutMs: 20_000,
      });
    }
    await expect
      .poll(async () => (await services.get(waiting?.executionId ?? "")).status, { timeout: 120_000 })
      .toBe(ExecutionStatus.AWAITING_LLM);
  }, 300_000);
});
