import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const SECRET = "a-secret-that-a-script-prints";

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: `secrets: {KEY: ${SECRET}}\n` } });
  rest = restClient(airlock.url);
  const ended = await rest.settled(
    await rest.submit({ code: "print(settings.get('KEY'), settings.get('KEY'))" }),
  );
  expect(ended).toMatchObject({ status: "completed" });
  const paused = await rest.settled(await rest.submit({ code: "llm.complete('?')" }));
  expect(paused).toMatchObject({ status: "awaiting_llm" });
});
afterAll(() => airlock.remove());

/** Every sample of the page, by its name and labels as they are printed. */
async function samples(): Promise<Map<string, number>> {
  const page = await (await fetch(`${airlock.url}/metrics`)).text();
  expect(page).not.toContain(SECRET);
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

describe("GET /metrics", () => {
  it("GET /metrics shows each pool as it is now", async () => {
    const now = await samples();
    expect(now.get('airlock_pool_replicas{project="demo"}')).toBe(1);
    expect(now.get('airlock_pool_leases_paused{project="demo"}')).toBe(1);
    expect(now.get('airlock_pool_leases_running{project="demo"}')).toBe(0);
    expect(now.get('airlock_pool_workers_idle{project="demo"}')).toBe(1);
    expect(now.get('airlock_pool_queue_depth{project="demo"}')).toBe(0);
  });

  it("GET /metrics times the queue and the starts of workers", async () => {
    const now = await samples();
    expect(now.get('airlock_pool_queue_wait_seconds_count{project="demo"}')).toBe(2);
    // The first execution waited for its worker to start.
    expect(now.get('airlock_pool_queue_wait_seconds_sum{project="demo"}')).toBeGreaterThan(0.05);
    expect(now.get('airlock_pool_worker_start_seconds_count{project="demo",outcome="ready"}')).toBe(1);
  });

  it("GET /metrics counts executions as they are accepted, and by how they ended", async () => {
    const now = await samples();
    expect(now.get('airlock_executions_accepted_total{project="demo"}')).toBe(2);
    expect(now.get('airlock_executions_ended_total{project="demo",end_reason="completed"}')).toBe(1);
  });

  it("GET /metrics counts the bytes that the sanitizer read and its redactions", async () => {
    const now = await samples();
    expect(now.get('airlock_sanitizer_redactions_total{project="demo"}')).toBe(2);
    expect(now.get('airlock_sanitizer_bytes_total{project="demo"}')).toBeGreaterThan(2 * SECRET.length);
  });
});

describe("the documented metrics", () => {
  const page = async () => await (await fetch(`${airlock.url}/metrics`)).text();
  const there = async () =>
    new Set([...(await page()).matchAll(/^# TYPE (airlock_\w+)/gm)].map((match) => match[1] as string));
  const read = (path: string) => readFile(join(import.meta.dirname, "../../../docs", path), "utf8");

  it("the documented metrics are all metrics of Airlock, in docs/operations.md", async () => {
    const documented = new Set((await read("operations.md")).match(/\bairlock_\w+/g));
    expect([...(await there())].sort()).toEqual([...documented].sort());
  });

  it("the documented metrics are drawn in docs/grafana-dashboard.json", async () => {
    const drawn = (await read("grafana-dashboard.json")).match(/\bairlock_\w+/g) ?? [];
    const known = await there();
    const base = (name: string) => name.replace(/_(bucket|count|sum)$/, "");
    expect(drawn.length).toBeGreaterThan(10);
    expect(drawn.filter((name) => !known.has(name) && !known.has(base(name)))).toEqual([]);
  });
});
