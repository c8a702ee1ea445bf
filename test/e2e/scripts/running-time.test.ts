import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const STEP_MS = 50;
const TWO_PAUSES = `
import time
time.sleep(0.05)
llm.complete("first?")
time.sleep(1.3)
llm.complete("second?")
time.sleep(0.05)
`;

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock();
  rest = restClient(airlock.url);
  await rest.run({ code: "pass" });
});
afterAll(() => airlock.remove());

/** All that `execution_time_ms` showed from the start to the end of an execution; each question is answered after a while. */
async function followed(code: string): Promise<{ shown: (number | null)[]; last: Execution }> {
  const id = await rest.submit({ code });
  const shown: (number | null)[] = [];
  for (;;) {
    const last = await rest.get(id);
    if (last.status !== "pending") shown.push(last.execution_time_ms);
    if (last.end_reason !== null) return { shown, last };
    if (last.llm_request) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      shown.push((await rest.get(id)).execution_time_ms);
      await rest.respond(id, "yes", last.llm_request.id);
    }
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}

describe("execution_time_ms", () => {
  it("execution_time_ms never goes down over pauses, and leaves them out", async () => {
    const began = performance.now();
    const { shown, last } = await followed(TWO_PAUSES);
    expect(last.end_reason).toBe("completed");
    expect(shown).not.toContain(null);
    expect(shown).toEqual([...shown].sort((a, b) => Number(a) - Number(b)));
    expect(last.execution_time_ms).toBeGreaterThanOrEqual(1_400);
    expect(last.execution_time_ms).toBeLessThan(performance.now() - began - 800);
  });

  it("execution_time_ms is given while a script runs and prints nothing", async () => {
    const { shown, last } = await followed("import time; time.sleep(3.5)");
    expect(last.end_reason).toBe("completed");
    // As of each full second: the third may have come late on a busy machine.
    expect(new Set(shown.map((ms) => Math.floor(Number(ms) / 1_000))).size).toBeGreaterThanOrEqual(3);
    expect(shown).toEqual([...shown].sort((a, b) => Number(a) - Number(b)));
  });

  it("execution_time_ms is known of a run that was lost with the whole of Airlock", async () => {
    const id = await rest.submit({
      code: "import time\nfor n in range(60): print(n, flush=True); time.sleep(0.5)",
    });
    let before = await rest.get(id);
    while ((before.execution_time_ms ?? 0) < 2_000) before = await rest.get(id, 0.2);
    await airlock.kill();
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    const after = await rest.settled(id);
    expect(after.end_reason).toBe("worker_lost");
    expect(after.execution_time_ms).toBeGreaterThanOrEqual(before.execution_time_ms ?? Infinity);
    expect(after.execution_time_ms).toBeLessThan(60_000);
  });
});
