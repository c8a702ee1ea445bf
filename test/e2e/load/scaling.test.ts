import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const [MIN, MAX, CLIENTS, LOAD_MS] = [1, 4, 12, 12_000];

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({
    projects: { demo: `replicas: {min: ${MIN}, max: ${MAX}, target_wait_ms: 100}\n` },
  });
  rest = restClient(airlock.url);
});
afterAll(() => airlock.remove());

it("a step load makes a pool grow to max, and its end makes it shrink to min, without flapping", async () => {
  const course: number[] = [];
  const watch = async () => {
    const replicas = (await rest.project("demo")).replicas as number;
    if (replicas !== course.at(-1)) course.push(replicas);
    return replicas;
  };
  await rest.post("/projects/demo/up", {});
  await watch();
  const endsAt = Date.now() + LOAD_MS;
  const client = async () => {
    while (Date.now() < endsAt) {
      const ended = await rest.settled(await rest.submit({ code: "import time; time.sleep(0.2)" }));
      expect(ended.status).toBe("completed");
    }
  };
  const load = Promise.all(Array.from({ length: CLIENTS }, client));
  while (Date.now() < endsAt) {
    await watch();
    await sleep(100);
  }
  await load;
  expect(course.at(-1)).toBe(MAX);
  // The pool shrinks in two steps of half a minute when not all workers were seen idle at once.
  await expect.poll(watch, { timeout: 90_000, interval: 200 }).toBe(MIN);
  await expect.poll(async () => (await rest.project("demo")).idle_workers, { timeout: 10_000 }).toBe(MIN);
  const directions = course.slice(1).map((replicas, at) => Math.sign(replicas - (course[at] as number)));
  expect(directions.filter((direction, at) => at > 0 && direction !== directions[at - 1])).toHaveLength(1);
}, 150_000);
