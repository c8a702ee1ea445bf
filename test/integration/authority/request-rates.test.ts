import { randomUUID } from "node:crypto";
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

let gateways: RatedGateways;
let url: string;
let another: string;
let guessers = 0;

beforeAll(async () => {
  gateways = await startRatedGateways();
  // Each request of this test comes from 127.0.0.1, which stands for a proxy in front of both gateways.
  const env = { AIRLOCK_TRUSTED_PROXIES: "127.0.0.0/8" };
  url = await gateways.addGateway(env);
  another = await gateways.addGateway(env);
  // Within a second the first gateway notices that it is no longer alone.
  await sleep(1_200);
}, 60_000);
afterAll(() => gateways.close());

const keyOf = (role: string, more: object = {}) => newKey(url, gateways.adminKey, role, more);
const from = (address: string) => ({ headers: { "x-forwarded-for": address } });
const run = (base: string, key: string, more: { project?: string; idempotencyKey?: string } = {}) =>
  ask("POST", `${base}/execute`, {
    key,
    body: { project: more.project ?? "mock-project", code: "print(1)" },
    ...(more.idempotencyKey && { headers: { "idempotency-key": more.idempotencyKey } }),
  });

describe("requests a minute", () => {
  it.each([
    ["observer", 21],
    ["developer", 31],
    ["operator", 51],
    ["admin", 101],
  ])("a gateway refuses the change of the role %s that is one too many, number %i", async (role, first) => {
    const key = await keyOf(role);
    expect(await firstRefused([url], first + 2, { key })).toBe(first);
    expect(await firstRefused([another], 1, { key })).toBe(1);
  });

  it("a gateway refuses the sixth change of an address without a key, and counts other addresses apart", async () => {
    expect(await changes([url, another], 7, from("203.0.113.1"))).toEqual([...Array(5).fill(401), 429, 429]);
    expect(await changes([url], 1, from("203.0.113.2"))).toEqual([401]);
    // One client usually has all IPv6 addresses of a network of 64 bits.
    for (let n = 1; n <= 5; n++) expect(await changes([url], 1, from(`2001:db8:0:7::${n}`))).toEqual([401]);
    expect(await changes([url], 1, from("2001:db8:0:7:ffff::1"))).toEqual([429]);
    expect(await changes([url], 1, from("2001:db8:0:8::1"))).toEqual([401]);
  });

  it("a gateway counts a client whose key is not valid by its address", async () => {
    const asked = { ...from("203.0.113.3"), key: `alk_${"a".repeat(16)}_${"b".repeat(43)}` };
    expect(await changes([url], 6, asked)).toEqual([...Array(5).fill(401), 429]);
  });

  it.each<[string, string, Readonly<Record<string, string>>, number]>([
    ["at /health", "/health", {}, 401],
    ["at /ready", "/ready", {}, 401],
    ["with a malformed tenant", "/me", { "airlock-tenant": "X!" }, 422],
    ["with a malformed tenant at /health", "/health", { "airlock-tenant": "X!" }, 422],
  ])("a gateway counts guesses of keys %s as reads of the address", async (_, path, more, status) => {
    const address = { "x-forwarded-for": `2001:db8:1:${++guessers}::1` };
    const statuses: number[] = [];
    for (let n = 0; n < 51; n++) {
      const key = `alk_${"a".repeat(16)}_${String(n).padStart(43, "b")}`;
      const answer = await ask("GET", url + path, { key, headers: { ...address, ...more } });
      statuses.push(answer.status);
    }
    expect(statuses).toEqual([...Array(50).fill(status), 429]);
    // A probe shows no credential, and is answered all the same.
    expect((await ask("GET", `${url}/health`, { headers: address })).status).toBe(200);
  });

  it("a gateway counts guesses of sessions at /health as reads of the address", async () => {
    const headers = { "x-forwarded-for": "203.0.113.5" };
    const statuses: number[] = [];
    for (let n = 0; n < 51; n++) {
      const cookie = `airlock-session=als_${String(n).padStart(43, "b")}`;
      statuses.push((await ask("GET", `${url}/health`, { headers: { ...headers, cookie } })).status);
    }
    expect(statuses).toEqual([...Array(50).fill(200), 429]);
  });

  it("a gateway counts requests before it looks at their permission", async () => {
    const key = await keyOf("observer");
    expect(await changes([url], 21, { key })).toEqual([...Array(20).fill(403), 429]);
  });

  it("a 429 says when to come again, and the fields of every answer say how many requests are left", async () => {
    const key = await keyOf("observer", { rate: 2 });
    const first = await ask("POST", `${url}${CANCEL}`, { key });
    expect(first.headers.get("ratelimit-policy")).toBe('"change";q=2;w=60');
    expect(first.headers.get("ratelimit")).toMatch(/^"change";r=1;t=(60|5\d)$/);
    await ask("POST", `${url}${CANCEL}`, { key });
    const refused = await ask("POST", `${url}${CANCEL}`, { key });
    expect(refused.status).toBe(429);
    const seconds = Number(refused.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(30);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(refused.headers.get("ratelimit")).toBe(`"change";r=0;t=${seconds}`);
    expect(await refused.json()).toMatchObject({
      code: "rate_limited",
      status: 429,
      detail: `You have sent more than 2 requests that change something in a minute. Send the request again in ${seconds} s.`,
    });
    const me = await ask("GET", `${url}/me`, { key });
    expect(me.headers.get("ratelimit-policy")).toBe('"read";q=20;w=60');
    expect(await me.json()).toMatchObject({ rate: { limit: 2, remaining: 0, reset: expect.any(Number) } });
  });

  it("polls, lists and responses count as reads, ten times as many, and probes count as nothing", async () => {
    const key = await keyOf("developer", { rate: 1 });
    const { execution_id: id } = (await (await run(url, key)).json()) as { execution_id: string };
    const paths = [`/executions/${id}`, "/executions", "/projects", `/executions/${id}?wait=1`];
    for (let n = 0; n < 8; n++)
      expect((await ask("GET", `${url}${paths[n % paths.length]}`, { key })).status).toBe(200);
    for (let n = 0; n < 2; n++) {
      const body = { response: "yes" };
      expect((await ask("POST", `${url}/executions/${id}/respond`, { key, body })).status).toBe(409);
    }
    expect((await ask("GET", `${url}/executions`, { key })).status).toBe(429);
    for (let n = 0; n < 60; n++) {
      const probed = await ask("GET", `${url}/health`, from("203.0.113.4"));
      expect(probed.status).toBe(200);
      expect(probed.headers.has("ratelimit")).toBe(false);
    }
  });

  it("two gateways tell each other of reads within a second", async () => {
    const key = await keyOf("developer", { rate: 2 });
    for (let n = 0; n < 20; n++) await ask("GET", `${url}/projects`, { key });
    await ask("GET", `${another}/projects`, { key });
    await expect
      .poll(async () => (await ask("GET", `${another}/projects`, { key })).status, { timeout: 10_000 })
      .toBe(429);
  });

  it("a key's own rate is shown, and only an admin gives more than the own role has", async () => {
    const carol = await keyOf("developer");
    const make = (name: string, rate: number) =>
      ask("POST", `${url}/keys`, { key: carol, body: { name, rate } });
    expect((await make("carols-bot", 30)).status).toBe(201);
    const refused = await make("carols-fast-bot", 31);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({
      detail: expect.stringContaining("a rate of at most 30 requests a minute; an admin may give more"),
    });
    expect((await make("carols-odd-bot", 0)).status).toBe(422);
    const listed = await (await ask("GET", `${url}/keys`, { key: carol })).json();
    expect(listed).toMatchObject({ keys: [{ name: "carols-bot", rate: 30 }] });
    const fast = await keyOf("developer", { rate: 1_000 });
    const me = await (await ask("GET", `${url}/me`, { key: fast })).json();
    expect(me).toMatchObject({ rate: { limit: 1_000, remaining: 1_000 } });
  });
});

describe("SANDBOX_RATE_LIMIT", () => {
  it("two gateways refuse the eleventh execution that a principal starts in a project within a minute", async () => {
    const [key, other] = [await keyOf("developer"), await keyOf("developer")];
    const statuses: number[] = [];
    for (let n = 0; n < 11; n++) statuses.push((await run(n % 2 ? url : another, key)).status);
    expect(statuses).toEqual([...Array(10).fill(202), 429]);
    const refused = await run(url, key);
    expect(refused.headers.get("ratelimit-policy")).toBe('"change";q=30;w=60, "execute";q=10;w=60');
    expect(refused.headers.get("ratelimit")).toMatch(/^"change";r=18;t=\d+, "execute";r=0;t=\d+$/);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(30);
    expect(await refused.json()).toMatchObject({
      code: "rate_limited",
      detail: expect.stringContaining("more than 10 executions in this project"),
    });
    expect((await run(url, other)).status).toBe(202);
  });

  it("a submission that starts no execution is not counted", async () => {
    const key = await keyOf("operator");
    const idempotencyKey = randomUUID();
    for (let n = 0; n < 12; n++) {
      expect((await run(url, key, { idempotencyKey })).status).toBe(202);
      expect((await run(url, key, { project: "mock" })).status).toBe(404);
    }
    const last = await run(url, key, { idempotencyKey: randomUUID() });
    expect(last.headers.get("ratelimit")).toMatch(/"execute";r=8;t=\d+$/);
  });

  it("the operator sets another number and another length of time, or none", async () => {
    const hourly = await gateways.addGateway({ SANDBOX_RATE_LIMIT: "2/hour" });
    const free = await gateways.addGateway({
      SANDBOX_RATE_LIMIT: "none",
      AIRLOCK_RATE_LIMITS: "developer=13",
    });
    const [one, two] = [await keyOf("developer"), await keyOf("developer")];
    expect([await run(hourly, one), await run(hourly, one)].map(({ status }) => status)).toEqual([202, 202]);
    const refused = await run(hourly, one);
    expect(refused.headers.get("ratelimit-policy")).toContain('"execute";q=2;w=3600');
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(3_000);
    const statuses: number[] = [];
    for (let n = 0; n < 14; n++) statuses.push((await run(free, two)).status);
    expect(statuses).toEqual([...Array(13).fill(202), 429]);
  });
});
