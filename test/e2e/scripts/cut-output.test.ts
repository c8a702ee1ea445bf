import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";
import { send, treeOf } from "../../support/process-tree.ts";

const LIMIT = 1024 * 1024;
const PRINTED = 3_000_000;
const FLOOD = `
import sys, time
for out in (sys.stdout, sys.stderr):
    for _ in range(${PRINTED / 100_000}): out.write("x" * 100_000)
    out.flush()
`;

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({
    projects: {
      demo: "replicas: 1\nlimits: {timeout: 60, llm_timeout: 3, max_output_mb: 1}\n",
      patient: "replicas: 1\nlimits: {timeout: 60, max_output_mb: 1}\n",
    },
  });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
});

const CUT = { stdout: PRINTED - LIMIT, stderr: PRINTED - LIMIT };
const untilPrinted = async (id: string) => {
  const lengths = async () => {
    const { stdout, stderr } = await rest.get(id);
    return [stdout.length, stderr.length];
  };
  await expect.poll(lengths, { timeout: 20_000 }).toEqual([LIMIT, LIMIT]);
};

describe("the count of output beyond the limit", () => {
  it.each([
    ["a script that runs", "time.sleep(60)"],
    ["a script that goes on printing", "while True: print('x' * 1000, flush=True)"],
  ])("output of %s beyond the limit is counted when it is cancelled", async (_, then) => {
    const id = await rest.submit({ project: "patient", code: FLOOD + then });
    await untilPrinted(id);
    await rest.cancel(id);
    const { end_reason, stdout, stderr, truncated } = await rest.settled(id);
    expect([end_reason, stdout.length, stderr.length]).toEqual(["cancelled", LIMIT, LIMIT]);
    if (then.startsWith("time")) expect(truncated).toEqual(CUT);
    expect(truncated.stdout).toBeGreaterThanOrEqual(CUT.stdout);
  });

  it("output beyond the limit of a script that waits for an answer is counted when it is cancelled", async () => {
    const id = await rest.submit({ project: "patient", code: `${FLOOD}llm.complete("?")` });
    expect((await rest.settled(id)).status).toBe("awaiting_llm");
    await rest.cancel(id);
    expect(await rest.settled(id)).toMatchObject({ end_reason: "cancelled", truncated: CUT });
  });

  it("output beyond the limit of a script that is not answered is counted", async () => {
    const id = await rest.submit({ code: `${FLOOD}llm.complete("?")` });
    const ended = async (): Promise<Pick<Execution, "end_reason" | "truncated">> => await rest.get(id);
    const end = { end_reason: "llm_timeout", truncated: CUT };
    await expect.poll(ended, { timeout: 20_000 }).toMatchObject(end);
  });

  it.each([
    ["runs", "time.sleep(60)", "running"],
    ["waits for an answer", "llm.complete('?')", "awaiting_llm"],
  ])(
    "output beyond the limit is counted as far as it is known, when the worker dies while the script %s",
    async (_, then, status) => {
      const id = await rest.submit({ project: "patient", code: FLOOD + then });
      await untilPrinted(id);
      await expect.poll(async () => (await rest.get(id)).status).toBe(status);
      // The output that was cut comes a moment later than the last that was not.
      await new Promise((resolve) => setTimeout(resolve, 500));
      for (const pid of (await treeOf(airlock.pid)).slice(1)) send(pid, "SIGKILL");
      await expect.poll(async () => (await rest.get(id)).end_reason, { timeout: 20_000 }).toBe("worker_lost");
      const { truncated } = await rest.get(id);
      expect(truncated.stdout).toBeGreaterThan(0);
      expect(truncated.stdout).toBeLessThanOrEqual(CUT.stdout);
      expect(truncated.stderr).toBeGreaterThan(0);
      expect(truncated.stderr).toBeLessThanOrEqual(CUT.stderr);
      if (status === "awaiting_llm") expect(truncated).toEqual(CUT);
    },
  );
});
