import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Bound } from "../../../bench/bound.ts";
import type { Profile } from "../../../bench/profile/profile.ts";
import type { Result } from "../../../bench/result.ts";
import { runAirlock } from "../../harness/airlock.ts";

const TIMEOUT_MS = 180_000;
const RESULTS = join(import.meta.dirname, "..", "..", "..", "bench", "results");

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-bench-test-"));
});
afterAll(() => rm(directory, { recursive: true }));

const start: Bound = {
  says: "starts",
  ...{ row: "start", subject: "embedded", metric: "health", of: "ratio", atMost: 1_000_000 },
};

async function guardWith(
  bounds: unknown,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const path = join(directory, "bounds.json");
  await writeFile(path, JSON.stringify(bounds));
  return await runAirlock(["bench", "--guard", "--bounds", path]);
}

describe("./airlock bench --guard", { timeout: TIMEOUT_MS }, () => {
  it("./airlock bench --guard passes when every ratio keeps its bound", async () => {
    const { status, stdout } = await guardWith({ bounds: [start] });
    expect(stdout).toMatch(/^✓ start: embedded, health \d/);
    expect(status).toBe(0);
  });

  it("./airlock bench --guard fails and names the row that slipped, and no other", async () => {
    // Faster than Node itself starts.
    const slipped = { ...start, atMost: 0.5 };
    const { status, stdout } = await guardWith({ bounds: [start, slipped] });
    expect(stdout.match(/^✗ slipped: start: embedded, health .* \(ratio ≤ 0\.5; starts\)$/gm)).toHaveLength(
      1,
    );
    expect(stdout.match(/^✓ start: embedded, health .*/gm)).toHaveLength(1);
    expect(status).toBe(1);
  });

  it("./airlock bench --guard fails when a bounded figure is not measured any more", async () => {
    const { status, stdout } = await guardWith({ bounds: [{ ...start, subject: "by another name" }] });
    expect(stdout).toContain("✗ slipped: start: by another name, health not measured");
    expect(status).toBe(1);
  });

  it("./airlock bench --guard refuses bounds that hold nothing", async () => {
    const { status, stderr } = await guardWith({ bounds: [] });
    expect(stderr).toContain("bounds.json cannot be used: it holds no bound");
    expect(status).toBe(2);
  });
});

describe("./airlock bench", { timeout: TIMEOUT_MS }, () => {
  it("./airlock bench prints its figures as JSON, and writes them to a file with a plot", async () => {
    const { status, stdout } = await runAirlock(["bench", "--quick", "--only", "start", "--json"]);
    expect(status).toBe(0);
    const result = JSON.parse(stdout) as Result;
    const names = result.figures.map(({ row, subject, metric }) => `${row} ${subject} ${metric}`);
    expect(names).toEqual(["start Node alone health", "start embedded health"]);
    expect(result.figures[1]?.ratio).toBeGreaterThan(1);
    expect(result.targets).toMatchObject([{ bound: { row: "start" }, value: result.figures[1]?.median }]);
    expect(JSON.parse(await readFile(join(RESULTS, "result.json"), "utf8"))).toEqual(result);
    await access(join(RESULTS, "start.svg"));
  });

  it("./airlock bench shows the path of one execution through every service, in order", async () => {
    const { status, stdout } = await runAirlock(["bench", "--profile", "--json"]);
    expect(status).toBe(0);
    const { steps, byProcess, byStep } = JSON.parse(stdout) as Profile;
    const names = steps.map(({ what }) => what);
    const way = [
      "client: POST sent",
      "gateway: POST received",
      "Submit: at its service",
      "store: INSERT executions done",
      "Lease granted: answered",
      "worker: Run called",
      "worker: the script's last word",
      "Sanitize end: answered",
      "store: COMMIT done",
      "client: GET answered",
    ];
    expect(names.filter((name) => way.includes(name))).toEqual(way);
    const times = steps.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const processes = ["services", "supervisor", "zygote", "template"];
    expect(byProcess.map(({ what }) => what)).toEqual(
      expect.arrayContaining([...processes, "all", "a bare fork"]),
    );
    expect(byProcess.find(({ what }) => what === "all")?.ratio).toBeGreaterThan(1);
    const layers = byStep.map(({ what }) => what);
    expect(layers).toEqual(expect.arrayContaining(["layer mount_namespace", "layer seccomp", "rehearsal"]));
    expect(byStep.every(({ ms, faults }) => ms >= 0 && faults >= 0)).toBe(true);
  });
});
