import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const HOUR_MS = 3_600_000;
// Until the preloaded module has looked at its file.
const SEEN_MS = 100;

let directory: string;
let airlock: TestAirlock;
let rest: RestClient;
const step = async (stepMs: number) => {
  await writeFile(join(directory, "step"), String(stepMs));
  await sleep(SEEN_MS);
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-steps-"));
  await writeFile(join(directory, "key"), "first-value-1");
  airlock = await startAirlock({
    projects: { demo: "", rotated: `secrets: {KEY: "\${file:${join(directory, "key")}}"}\n` },
    env: { STEP_FILE: join(directory, "step") },
    preload: join(import.meta.dirname, "..", "..", "harness", "stepped-clock.ts"),
  });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
  await rm(directory, { recursive: true });
});

describe.each([
  ["forwards", HOUR_MS],
  ["backwards", -HOUR_MS],
])("the system's clock is set an hour %s", (_direction, stepMs) => {
  it("a script that paused and one that runs go on when the system's clock is set, with their real running time", async () => {
    const code = "import time; answer = llm.complete('q'); time.sleep(3); set_result(answer)";
    const [asked, bystander] = await Promise.all(
      [code, "set_result(llm.complete('wait'))"].map((each) => rest.submit({ code: each, timeout: 10 })),
    );
    for (const id of [asked, bystander])
      expect((await rest.settled(id as string)).status).toBe("awaiting_llm");
    await rest.respond(asked as string, "yes");
    await step(stepMs);
    const ended = await rest.settled(asked as string);
    expect(ended).toMatchObject({ end_reason: "completed", result: "yes" });
    expect(ended.execution_time_ms).toBeGreaterThan(2_900);
    expect(ended.execution_time_ms).toBeLessThan(60_000);
    await rest.respond(bystander as string, "too");
    expect(await rest.settled(bystander as string)).toMatchObject({ end_reason: "completed", result: "too" });
    await step(0);
  }, 60_000);

  it("a rotated secret reaches the next runs when the system's clock is set", async () => {
    const code = "import hashlib; set_result(hashlib.sha256(settings.get('KEY').encode()).hexdigest())";
    const before = (await rest.run({ project: "rotated", code })).result;
    await step(stepMs);
    await writeFile(join(directory, "key"), `value-after-${stepMs}`);
    await expect
      .poll(async () => (await rest.run({ project: "rotated", code })).result, { timeout: 20_000 })
      .not.toBe(before);
    await step(0);
  }, 60_000);
});
