import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { EXECUTION_ID, holdingBackend, startOver, type TestGateway, until } from "./fake-backends.ts";

describe("a long poll", () => {
  let gateway: TestGateway | undefined;
  afterEach(() => gateway?.drain(0));

  it("a long poll passes the wait on in milliseconds", async () => {
    const { calls, getExecution } = holdingBackend();
    gateway = await startOver({ router: { getExecution } });
    const response = await fetch(`${gateway.url}/executions/${EXECUTION_ID}?wait=0.05`);
    expect(response.status).toBe(200);
    expect(calls).toEqual([{ waitMs: 50, outcome: "answered" }]);
  });

  it("a long poll is given up when the client goes away", async () => {
    const { calls, getExecution } = holdingBackend();
    gateway = await startOver({ router: { getExecution } });
    const abort = new AbortController();
    const poll = fetch(`${gateway.url}/executions/${EXECUTION_ID}?wait=60`, { signal: abort.signal });
    await until(() => calls.length === 1);
    abort.abort();
    await expect(poll).rejects.toThrow();
    await until(() => calls[0]?.outcome === "cancelled");
    expect(calls).toHaveLength(1);
  });

  it("a long poll is answered with the current state when the gateway drains", async () => {
    const { calls, getExecution } = holdingBackend();
    gateway = await startOver({ router: { getExecution } });
    const polls = Array.from({ length: 20 }, () =>
      fetch(`${gateway?.url}/executions/${EXECUTION_ID}?wait=60`),
    );
    await until(() => calls.length === 20);
    const started = performance.now();
    const drained = gateway.drain(10_000);
    for (const response of await Promise.all(polls)) {
      expect(response.status).toBe(200);
      expect(response.headers.get("connection")).toBe("close");
      expect(await response.json()).toMatchObject({ execution_id: EXECUTION_ID, status: "pending" });
    }
    await drained;
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(calls.filter(({ outcome }) => outcome === "cancelled")).toHaveLength(20);
  });
});

describe("draining", () => {
  it("a draining gateway lets requests that are under way finish, and fails no request on an open connection", async () => {
    const gateway = await startOver({
      poolManager: {
        listProjects: async () => {
          await sleep(300);
          return [];
        },
      },
    });
    const agent = new Agent({ keepAlive: true });
    // Two connections that are open and idle.
    await Promise.all([status(agent, `${gateway.url}/health`), status(agent, `${gateway.url}/health`)]);
    const slow = status(agent, `${gateway.url}/projects`);
    await sleep(50);
    const drained = gateway.drain(5_000);
    expect(await status(agent, `${gateway.url}/health`)).toBe(200);
    expect(await slow).toBe(200);
    await drained;
    await expect(status(agent, `${gateway.url}/health`)).rejects.toThrow();
  });

  it("a draining gateway fails no request of clients that keep sending: the next one finds the port closed", async () => {
    const gateway = await startOver({});
    const agent = new Agent({ keepAlive: true });
    const failures: string[] = [];
    let answered = 0;
    const clients = Array.from({ length: 16 }, async () => {
      while (failures.length < 16) {
        try {
          expect(await status(agent, `${gateway.url}/projects`)).toBe(200);
          answered++;
        } catch (error) {
          failures.push((error as NodeJS.ErrnoException).code ?? String(error));
          return;
        }
      }
    });
    await until(() => answered > 200);
    await gateway.drain(5_000);
    await Promise.all(clients);
    expect(new Set(failures)).toEqual(new Set(["ECONNREFUSED"]));
  });

  it("a draining gateway ends requests that are not finished after the grace period", async () => {
    const gateway = await startOver({ poolManager: { listProjects: () => new Promise(() => {}) } });
    const slow = fetch(`${gateway.url}/projects`);
    const failed = expect(slow).rejects.toThrow();
    await sleep(50);
    const started = performance.now();
    await gateway.drain(200);
    await failed;
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

function status(agent: Agent, url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    }).on("error", reject);
  });
}
