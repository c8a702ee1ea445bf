import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../support/airlock.ts";
import { type RestClient, restClient } from "../support/rest.ts";
import { DATA } from "./data.ts";
import { FILES } from "./files.ts";
import { PROCESSES } from "./processes.ts";
import { RESOURCES } from "./resources.ts";
import { longLived, tracesOf } from "./traces.ts";

const PROJECT =
  "replicas: 1\nlimits: {timeout: 30, memory_mb: 256, disk_mb: 16, pids: 32, max_result_mb: 1}\n";
// A worker that the script has tampered with is replaced, on purpose; its successor needs a moment.
const REPLACES = /^(SIGKILL to itself|a signal to its group|a forged end|32-bit entry|x32 entry)$/;

const KEEP_THE_WORKER = PROCESSES.filter(({ ends }) => ends.length === 1 && ends[0] === "completed");

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: PROJECT, strict: "isolation: strict\n" } });
  rest = restClient(airlock.url);
  await rest.run({ code: "pass" });
});
afterAll(() => airlock.remove());

describe.each([
  ["resources", RESOURCES],
  ["processes", PROCESSES],
  ["files", FILES],
  ["data", DATA],
])("%s: a hostile script ends as it should and the next run is healthy", (_, cases) => {
  it.each(cases)("$name", async ({ name, code, ends, value }) => {
    const before = await longLived(airlock.pid);
    const execution = await rest.run({ code, timeout: 2 });
    expect(ends, JSON.stringify({ ...execution, stdout: execution.stdout.slice(0, 200) })).toContain(
      execution.end_reason,
    );
    if (value !== undefined) expect(execution.result).toEqual(value);
    if (/entry$/.test(name)) expect(execution.stdout).not.toContain("entered");
    const next = await rest.run({ code: "print('fine')\nset_result(1)" });
    expect([next.end_reason, next.result, next.stdout]).toEqual(["completed", 1, "fine\n"]);
    const kept = execution.end_reason === "killed" || REPLACES.test(name) ? [airlock.pid] : before;
    expect(await longLived(airlock.pid)).toEqual(expect.arrayContaining(kept));
  });
});

describe("after many hostile runs", () => {
  it("nothing has grown", { timeout: 120_000 }, async () => {
    const round = async () => {
      await expect.poll(async () => (await rest.project("demo")).idle_workers, { timeout: 20_000 }).toBe(1);
      for (const { code } of [...FILES, ...DATA, ...KEEP_THE_WORKER]) await rest.run({ code, timeout: 2 });
      await new Promise((resolve) => setTimeout(resolve, 500));
      return await tracesOf(airlock.pid);
    };
    const before = await round();
    const after = await round();
    expect(after.mounts).toBe(before.mounts);
    expect(after.temporaryFiles).toBe(before.temporaryFiles);
    expect(after.processes).toBeLessThanOrEqual(before.processes + 2);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 16);
  });
});

describe("isolation: strict", () => {
  it("refuses to start, and says which layers are missing and why", async () => {
    const execution = await rest.run({ project: "strict", code: "pass" });
    const view = (await rest.project("demo")) as { isolation_layers?: { name: string; in_force: boolean }[] };
    const missing = (view.isolation_layers ?? []).filter((layer) => !layer.in_force);
    if (missing.length === 0) expect(execution.end_reason).toBe("completed");
    else expect(execution.end_reason).toBe("start_failed");
    for (const { name } of missing) expect(execution.error).toContain(name);
  });
});
