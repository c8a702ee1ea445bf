import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type RatedGateways, startRatedGateways } from "../../harness/rated-gateways.ts";
import { REDIS_PASSWORD, redisMissing, startRedis, type TestRedis } from "../../harness/redis.ts";

const NO_EXECUTION = "/executions/00000000-0000-4000-8000-000000000000";
const CANCEL = `${NO_EXECUTION}/cancel`;

let gateways: RatedGateways;
let one: string;
let two: string;
let names = 0;

beforeAll(async () => {
  gateways = await startRatedGateways();
  one = await gateways.addGateway();
  two = await gateways.addGateway({ AIRLOCK_TRUSTED_PROXIES: "127.0.0.1" });
}, 60_000);
afterAll(() => gateways.close());

async function call(
  url: string,
  key: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return await fetch(url + path, {
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

/** Makes a key of a new principal with this role. */
async function newKey(role: string, more: object = {}): Promise<string> {
  const request = { name: `test-${++names}`, kind: "human", role, ...more };
  const made = await call(two, gateways.adminKey, "POST", "/keys", request);
  expect(made.status).toBe(201);
  return String(((await made.json()) as { key: string }).key);
}

/** Sends requests that change something, one after the other, each to the next of the gateways. */
async function statuses(urls: readonly string[], key: string | undefined, count: number): Promise<number[]> {
  const all: number[] = [];
  for (let n = 0; n < count; n++)
    all.push((await call(urls[n % urls.length] as string, key, "POST", CANCEL)).status);
  return all;
}

/** The place of the first request that was refused as one too many, from 1. */
async function firstRefused(
  urls: readonly string[],
  key: string | undefined,
  atMost: number,
): Promise<number> {
  return (await statuses(urls, key, atMost)).indexOf(429) + 1;
}

describe("requests a minute", () => {
  it.each([
    ["observer", 21],
    ["developer", 31],
    ["operator", 51],
    ["admin", 101],
  ])(
    "a gateway refuses the first request of the role %s that is one too many, number %i",
    async (role, first) => {
      expect(await firstRefused([one], await newKey(role), first + 2)).toBe(first);
    },
  );
});

describe("counters that all gateways share", () => {
  it("two gateways count a principal's requests together, in the authority", async () => {
    expect(await firstRefused([one, two], await newKey("developer"), 33)).toBe(31);
  });

  it("two gateways count together after a restart of the authority, which remembers nothing", async () => {
    const key = await newKey("developer");
    expect(await firstRefused([one, two], key, 20)).toBe(0);
    await gateways.authority().kill();
    await gateways.startAuthority();
    await answersAgain([one, two]);
    expect(await firstRefused([one, two], key, 12)).toBe(11);
  });

  it.each(["SIGKILL", "SIGSTOP"] as const)(
    "gateways go on by themselves when the authority gets %s, and no request fails or waits",
    async (signal) => {
      const key = await newKey("developer");
      expect(await statuses([one, two], key, 10)).toEqual(Array(10).fill(404));
      gateways.authority().signal(signal);
      await sleep(50);
      const answers: { readonly status: number; readonly ms: number }[] = [];
      for (let n = 0; n < 50; n++) {
        const began = performance.now();
        const { status } = await call(n % 2 ? one : two, key, "POST", CANCEL);
        answers.push({ status, ms: performance.now() - began });
      }
      // Each gateway knows of the 10 requests, except that one does not know of the last.
      const allowed = answers.filter(({ status }) => status === 404).length;
      expect(allowed + answers.filter(({ status }) => status === 429).length).toBe(50);
      expect(allowed).toBeGreaterThanOrEqual(40);
      expect(allowed).toBeLessThanOrEqual(41);
      const slow = answers.filter(({ ms }) => ms > 400);
      expect(slow.length).toBeLessThanOrEqual(2 * 2);
      if (signal === "SIGSTOP") gateways.authority().signal("SIGCONT");
      else await gateways.startAuthority();
      await answersAgain([one, two]);
    },
    30_000,
  );
});

/** Waits until the gateways count in the authority again. */
async function answersAgain(urls: readonly string[]): Promise<void> {
  const key = gateways.adminKey;
  for (const url of urls) {
    const untilMs = performance.now() + 10_000;
    while ((await call(url, key, "GET", "/keys")).status !== 200) {
      if (performance.now() > untilMs) throw new Error("the authority does not answer");
      await sleep(50);
    }
  }
  // The counters are asked every second whether they answer again.
  await sleep(1_200);
}

const missing = redisMissing();
describe.skipIf(missing)(`counters in Redis${missing ? ` (${missing})` : ""}`, () => {
  let redis: TestRedis;
  let urls: readonly string[];
  beforeAll(async () => {
    redis = await startRedis();
    const env = { REDIS_URL: redis.url.reveal() };
    urls = [await gateways.addGateway(env), await gateways.addGateway(env)];
    await sleep(100);
  });
  afterEach(async () => {
    redis.signal("SIGCONT");
    await redis.kill();
    await redis.start();
    await sleep(2_500);
  });
  afterAll(() => redis.kill());

  it("two gateways count a principal's requests together in Redis", async () => {
    expect(await firstRefused(urls, await newKey("developer"), 33)).toBe(31);
  });

  it("two gateways count together to the end when Redis is killed midway, and no request fails", async () => {
    const key = await newKey("developer");
    expect(await statuses(urls, key, 16)).toEqual(Array(16).fill(404));
    await redis.kill();
    const rest = await statuses(urls, key, 20);
    expect(rest.filter((status) => status !== 404 && status !== 429)).toEqual([]);
    expect(rest.indexOf(429) + 1 + 16).toBe(31);
  });

  it("a request waits no longer than half a second for a Redis that is frozen, and the next do not wait", async () => {
    const key = await newKey("operator");
    expect(await statuses(urls, key, 4)).toEqual(Array(4).fill(404));
    redis.signal("SIGSTOP");
    const times: number[] = [];
    for (let n = 0; n < 30; n++) {
      const began = performance.now();
      expect((await call(urls[n % 2] as string, key, "POST", CANCEL)).status).toBe(404);
      times.push(performance.now() - began);
    }
    expect(times.filter((ms) => ms > 400).length).toBeLessThanOrEqual(2);
  });

  it("no line of a gateway's log has the password of Redis, and one says when Redis is away", async () => {
    const ofRedis = gateways
      .logs()
      .split("\n")
      .filter((line) => line.includes('"store":"redis"'));
    expect(ofRedis.some((line) => line.includes("do not answer"))).toBe(true);
    expect(ofRedis.some((line) => line.includes("answer again"))).toBe(true);
    expect(gateways.logs().includes(REDIS_PASSWORD)).toBe(false);
  });
});
