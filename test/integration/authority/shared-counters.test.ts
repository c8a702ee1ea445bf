import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ask,
  CANCEL,
  changes,
  firstRefused,
  newKey,
  type RatedGateways,
  startRatedGateways,
} from "../../harness/rated-gateways.ts";
import { REDIS_PASSWORD, redisMissing, startRedis, type TestRedis } from "../../harness/redis.ts";

let gateways: RatedGateways;
let one: string;
let two: string;

beforeAll(async () => {
  gateways = await startRatedGateways();
  one = await gateways.addGateway();
  two = await gateways.addGateway();
  // Within a second the first gateway notices that it is no longer alone.
  await sleep(1_200);
}, 60_000);
afterAll(() => gateways.close());

const keyOf = (role: string) => newKey(two, gateways.adminKey, role);

describe("counters that all gateways share", () => {
  it("two gateways count a principal's requests together, in the authority", async () => {
    expect(await firstRefused([one, two], 33, { key: await keyOf("developer") })).toBe(31);
  });

  it("two gateways count together after a restart of the authority, which remembers nothing", async () => {
    const key = await keyOf("developer");
    expect(await firstRefused([one, two], 20, { key })).toBe(0);
    await gateways.authority().kill();
    await gateways.startAuthority();
    await answersAgain([one, two]);
    expect(await firstRefused([one, two], 12, { key })).toBe(11);
  });

  it.each(["SIGKILL", "SIGSTOP"] as const)(
    "gateways go on by themselves when the authority gets %s, and no request fails or waits",
    async (signal) => {
      const key = await keyOf("developer");
      expect(await changes([one, two], 10, { key })).toEqual(Array(10).fill(404));
      gateways.authority().signal(signal);
      await sleep(50);
      const answers: { readonly status: number; readonly ms: number }[] = [];
      for (let n = 0; n < 50; n++) {
        const began = performance.now();
        const { status } = await ask("POST", `${n % 2 ? one : two}${CANCEL}`, { key });
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
    while ((await ask("GET", `${url}/keys`, { key })).status !== 200) {
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
  });
  afterAll(async () => {
    redis.signal("SIGCONT");
    await redis.kill();
  });
  const linesOfRedis = (text: string) =>
    gateways
      .logs()
      .split("\n")
      .filter((line) => line.includes('"store":"redis"') && line.includes(text)).length;
  /** Waits until each gateway that has given Redis up counts in it again. */
  const isBack = () =>
    expect
      .poll(() => linesOfRedis("do not answer") - linesOfRedis("answer again"), { timeout: 20_000 })
      .toBe(0);

  it("two gateways count a principal's requests together in Redis", async () => {
    expect(await firstRefused(urls, 33, { key: await keyOf("developer") })).toBe(31);
  });

  it("two gateways count together to the end when Redis is killed midway, and no request fails", async () => {
    const key = await keyOf("developer");
    expect(await changes(urls, 16, { key })).toEqual(Array(16).fill(404));
    await redis.kill();
    const rest = await changes(urls, 20, { key });
    expect(rest.filter((status) => status !== 404 && status !== 429)).toEqual([]);
    expect(rest.indexOf(429) + 1 + 16).toBe(31);
    await redis.start();
    await isBack();
  }, 30_000);

  it("a request waits no longer than half a second for a Redis that is frozen, and the next do not wait", async () => {
    const key = await keyOf("operator");
    expect(await changes(urls, 4, { key })).toEqual(Array(4).fill(404));
    redis.signal("SIGSTOP");
    const times: number[] = [];
    for (let n = 0; n < 30; n++) {
      const began = performance.now();
      expect((await ask("POST", `${urls[n % 2]}${CANCEL}`, { key })).status).toBe(404);
      times.push(performance.now() - began);
    }
    expect(times.filter((ms) => ms > 400).length).toBeLessThanOrEqual(3);
    redis.signal("SIGCONT");
    await isBack();
    expect(linesOfRedis("do not answer")).toBeGreaterThanOrEqual(4);
  }, 30_000);

  it("two gateways go on from what they knew when Redis was restarted empty", async () => {
    const key = await keyOf("developer");
    expect(await changes(urls, 20, { key })).toEqual(Array(20).fill(404));
    await redis.kill();
    await redis.start();
    await isBack();
    const first = await firstRefused(urls, 12, { key });
    expect(first).toBeGreaterThanOrEqual(10);
    expect(first).toBeLessThanOrEqual(12);
  }, 30_000);

  it("a gateway whose password Redis refuses says so in its log, and counts in the authority", async () => {
    const wrong = redis.url.reveal().replace(REDIS_PASSWORD, "another-password");
    const url = await gateways.addGateway({ REDIS_URL: wrong });
    expect(await firstRefused([url, one], 33, { key: await keyOf("developer") })).toBe(31);
    expect(linesOfRedis("Redis does not answer (WRONGPASS)")).toBeGreaterThan(0);
    expect(gateways.logs().includes("another-password")).toBe(false);
  });

  it("no line of a gateway's log has the password of Redis", () => {
    expect(linesOfRedis("do not answer")).toBeGreaterThan(0);
    expect(gateways.logs().includes(REDIS_PASSWORD)).toBe(false);
  });
});
