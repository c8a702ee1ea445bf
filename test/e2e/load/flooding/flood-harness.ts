import { availableParallelism, loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { expect } from "vitest";
import { startAirlock, type TestAirlock, type TestAirlockOptions } from "../../../harness/airlock.ts";
import { restClient } from "../../../harness/rest.ts";
import type { FloodReport, FloodStart } from "./flood-thread.ts";

const SAMPLES = 60;
const EVERY_MS = 20;
// A quiet machine answers in a few milliseconds; 0.1 s more is allowed, because a test machine is not quiet.
const FLOOR_MS = 150;
const ATTEMPTS = 2;
/** Programs that want to run for each processor. */
const BUSY_LOAD = 1.5;

/** Two projects beside each other: `loud`, which is flooded, and `quiet`, whose client measures. */
export type FloodHarness = {
  readonly airlock: TestAirlock;
  remove(): Promise<void>;
};

export async function openFloodHarness(
  projects: { readonly loud?: string; readonly quiet?: string } = {},
  options: Omit<TestAirlockOptions, "projects"> = {},
): Promise<FloodHarness> {
  const texts = { loud: projects.loud ?? "replicas: 1\n", quiet: projects.quiet ?? "replicas: 1\n" };
  const airlock = await startAirlock({ ...options, projects: texts });
  const client = restClient(airlock.url);
  for (const project of Object.keys(texts)) await client.run({ project, code: "set_result(1)" });
  return { airlock, remove: () => airlock.remove() };
}

export type Calm = {
  readonly p95Ms: number;
  /** Wrong answers that the quiet client got. */
  readonly failures: readonly string[];
};

/** The times and wrong answers of a quiet client that runs one small script after the other. */
export async function measureQuiet({ airlock }: FloodHarness, samples = SAMPLES): Promise<Calm> {
  const times: number[] = [];
  const failures: string[] = [];
  for (let n = 0; n < samples; n++) {
    const beganMs = performance.now();
    const said = await runOnce(airlock.url, n).catch(String);
    times.push(performance.now() - beganMs);
    if (said !== undefined) failures.push(said);
    await sleep(EVERY_MS);
  }
  times.sort((a, b) => a - b);
  return { p95Ms: times[Math.floor(times.length * 0.95)] ?? 0, failures };
}

/** Submits a script and waits for its result; says what was wrong with an answer. */
async function runOnce(url: string, n: number): Promise<string | undefined> {
  const accepted = await restClient(url).post("/execute", { project: "quiet", code: `set_result(${n})` });
  const text = await accepted.text();
  if (accepted.status !== 202) return `${accepted.status} ${text}`;
  const { poll_url } = JSON.parse(text) as { poll_url: string };
  for (;;) {
    const polled = await fetch(`${url}${poll_url}?wait=20`);
    const execution = await polled.text();
    if (polled.status !== 200) return `${polled.status} ${execution}`;
    const { status, result } = JSON.parse(execution) as { status: string; result: unknown };
    if (status === "pending" || status === "running") continue;
    return status === "completed" && result === n ? undefined : execution;
  }
}

/**
 * Measures the quiet project before and during a flood: its p95 stays within twice of before, nothing of it fails,
 * and the flooding client is answered nothing but what it may be. `flood` is a module with a `Flood` as its default
 * export; it runs in a thread of its own, so that its work is not measured. A machine may be disturbed otherwise:
 * once more counts.
 */
export async function expectCalm(harness: FloodHarness, flood: URL): Promise<FloodReport> {
  for (let attempt = 1; ; attempt++) {
    // Where other programs keep the machine busy, times say nothing of this one; that nothing fails must hold there,
    // too.
    const isBusy = (loadavg()[0] ?? 0) > BUSY_LOAD * availableParallelism();
    const before = await measureQuiet(harness);
    const running = await startFlood({ module: flood.href, url: harness.airlock.url, project: "loud" });
    const during = await measureQuiet(harness);
    const report = await running.stop();
    expect(before.failures).toEqual([]);
    expect(during.failures).toEqual([]);
    expect(report.bad).toEqual([]);
    expect(report.answers).toBeGreaterThan(0);
    const limitMs = Math.max(2 * before.p95Ms, before.p95Ms + FLOOR_MS);
    if (during.p95Ms <= limitMs || isBusy || attempt === ATTEMPTS) {
      const figures = `before ${Math.round(before.p95Ms)} ms, during ${Math.round(during.p95Ms)} ms`;
      if (!isBusy) expect(during.p95Ms, figures).toBeLessThanOrEqual(limitMs);
      return report;
    }
  }
}

export type RunningFlood = {
  /** Resolves when so many more answers have come. */
  awaitAnswers(count: number): Promise<void>;
  stop(): Promise<FloodReport>;
};

/** Resolves when the flood has begun: its first answer has come. */
export async function startFlood(start: FloodStart): Promise<RunningFlood> {
  const thread = new Worker(new URL("./flood-thread.ts", import.meta.url), { workerData: start });
  const said = Promise.withResolvers<FloodReport>();
  const began = Promise.withResolvers<void>();
  const waiting = new Set<{ count: number; resolve: () => void }>();
  thread.on("message", (message: "answer" | FloodReport) => {
    if (message !== "answer") return said.resolve(message);
    began.resolve();
    for (const waiter of waiting) if (--waiter.count === 0) waiter.resolve();
  });
  for (const { reject } of [said, began]) thread.on("error", reject);
  said.promise.catch(() => undefined);
  await began.promise;
  return {
    awaitAnswers: (count) => new Promise((resolve) => waiting.add({ count, resolve })),
    async stop() {
      thread.postMessage("stop");
      const report = await said.promise;
      await thread.terminate();
      return report;
    },
  };
}
