import { randomUUID } from "node:crypto";
import { afterEach, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";

let airlock: TestAirlock;
afterEach(() => airlock.remove());

it("requests that a killed Airlock left without an answer run once each when they are sent again", async () => {
  airlock = await startAirlock();
  const keys = Array.from({ length: 60 }, () => randomUUID());
  const submit = async (key: string): Promise<string | undefined> => {
    try {
      const response = await fetch(`${airlock.url}/execute`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify({ project: "demo", code: `set_result("${key}")` }),
      });
      const { execution_id: id } = (await response.json()) as { execution_id?: string };
      return id;
    } catch {
      return undefined;
    }
  };
  // Some at a time, so that the kill comes in the middle of them.
  const first = new Map<string, string | undefined>();
  const waiting = [...keys];
  let killed: Promise<void> | undefined;
  const client = async () => {
    for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) {
      first.set(key, await submit(key));
      if (first.size >= 20) killed ??= airlock.kill();
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  await killed;
  expect([...first.values()].filter(Boolean).length).toBeGreaterThanOrEqual(20);
  expect([...first.values()]).toContain(undefined);

  airlock = await airlock.restart();
  const again = new Map(await Promise.all(keys.map(async (key) => [key, await submit(key)] as const)));
  for (const key of keys) expect(again.get(key)).toEqual(first.get(key) ?? expect.any(String));
  const { executions } = (await (await fetch(`${airlock.url}/executions?limit=200`)).json()) as {
    executions: { execution_id: string }[];
  };
  expect(executions.map(({ execution_id }) => execution_id).sort()).toEqual([...again.values()].sort());
});
