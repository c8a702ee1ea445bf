import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeApiKey } from "#common/identity/api-key.ts";
import { type Deployment, startDeployment } from "../../harness/deployment.ts";

const ADMIN = makeApiKey().text;
const AWAY_MS = 4_000;
// Milliseconds of the longest request of a known client: one waits for the authority until it counts as away.
const LONGEST_MS = 2_000 + 3_000;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ projects: { demo: "replicas: 1\n" }, adminKey: ADMIN });
}, 120_000);
afterAll(() => deployment?.remove());

const call = (key: string, path: string, method = "GET", body?: unknown) =>
  fetch(`${deployment.urls[0]}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
const statusOf = async (key: string, path = "/projects") => {
  const response = await call(key, path);
  await response.arrayBuffer();
  return response.status;
};
const makeKey = async (name: string) =>
  ((await (await call(ADMIN, "/keys", "POST", { name })).json()) as { key: string }).key;

/** Requests of a known client, one after the other, at the router and at the pool-manager. */
function startLoad() {
  let isOn = true;
  const answers: { readonly status: number; readonly tookMs: number }[] = [];
  const ended = (async () => {
    for (let n = 0; isOn; n++) {
      const startedAtMs = performance.now();
      const status = await statusOf(ADMIN, n % 2 === 0 ? "/projects" : "/executions");
      answers.push({ status, tookMs: performance.now() - startedAtMs });
      await sleep(20);
    }
  })();
  return async () => {
    isOn = false;
    await ended;
    return answers;
  };
}

describe("an authority on a network", () => {
  it.each(["frozen", "killed"] as const)(
    "an authority that is %s under load is not missed by known clients, and lets no new one in",
    async (how) => {
      const unseen = await makeKey(`unseen-${how}`);
      expect(await statusOf(ADMIN)).toBe(200);
      const stop = startLoad();
      if (how === "frozen") deployment.process("authority").signal("SIGSTOP");
      else await deployment.kill("authority");
      await sleep(AWAY_MS);
      expect(await statusOf(unseen)).toBe(503);
      expect(await statusOf(makeApiKey().text)).toBe(503);
      if (how === "frozen") deployment.process("authority").signal("SIGCONT");
      else await deployment.restart("authority");
      await expect.poll(() => statusOf(unseen), { timeout: 10_000 }).toBe(200);
      const answers = await stop();
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(LONGEST_MS);
      expect(answers.length).toBeGreaterThan(20);
      expect(await statusOf(makeApiKey().text)).toBe(401);
    },
    60_000,
  );

  it("a restarted authority signs with a new key, and services that were restarted while it was away work again", async () => {
    expect(await statusOf(ADMIN, "/executions")).toBe(200);
    await deployment.kill("authority");
    await deployment.restart("router-1");
    // The router has no key to check passes with.
    expect(await statusOf(ADMIN, "/executions")).toBe(503);
    expect(await statusOf(ADMIN, "/projects")).toBe(200);
    await deployment.restart("authority");
    await expect.poll(() => statusOf(ADMIN, "/executions"), { timeout: 10_000 }).toBe(200);
    const ran = await call(ADMIN, "/execute?wait=20", "POST", { project: "demo", code: "set_result(6 * 7)" });
    expect(await ran.json()).toMatchObject({ status: "completed", result: 42 });
  }, 60_000);

  it("no log of a service shows a pass or a key", async () => {
    expect(deployment.output()).not.toMatch(/eyJ[\w-]{10}/);
    expect(deployment.output()).not.toContain(ADMIN);
  });
});
