import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: "replicas: 2\n" } });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
});

function childrenOf(parent: number): number[] {
  const all = execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  return all
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, ppid]) => ppid === parent)
    .map(([pid]) => pid as number);
}

/** The supervisors that this Airlock started: its own children. */
function workerPids(pid = airlock.pid): number[] {
  return childrenOf(pid).filter((child) =>
    execFileSync("ps", ["-o", "args=", "-p", String(child)], { encoding: "utf8" }).includes("airlock_worker"),
  );
}

function descendants(pid: number): number[] {
  const found = [pid];
  for (const parent of found) found.push(...childrenOf(parent));
  return found;
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("under load", () => {
  it("200 executions by 32 clients each end once with their own answer", async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => index);
    const results = new Map<number, string>();
    const client = async () => {
      for (let n = numbers.shift(); n !== undefined; n = numbers.shift()) {
        const body = await rest.settledText(
          await rest.submit({ code: `print(${n}); set_result(${n} * 2**70)` }),
        );
        expect(JSON.parse(body)).toMatchObject({
          status: "completed",
          end_reason: "completed",
          stdout: `${n}\n`,
        });
        expect(results.has(n)).toBe(false);
        results.set(n, body);
      }
    };
    await Promise.all(Array.from({ length: 32 }, client));
    expect(results.size).toBe(200);
    for (const [n, body] of results) expect(body).toContain(`"result":${BigInt(n) * 2n ** 70n},`);
  }, 60_000);
});

describe("when a worker is killed", () => {
  it("an execution whose worker is killed ends as worker_lost, and the pool starts a new worker and leaves nothing behind", async () => {
    const id = await rest.submit({
      code: "import subprocess, time\nsubprocess.Popen(['sleep', '1000'])\nprint('up', flush=True)\ntime.sleep(100)",
    });
    await expect.poll(async () => (await rest.get(id)).stdout).toBe("up\n");
    const before = workerPids();
    const family = before.flatMap(descendants);
    for (const pid of before) process.kill(pid, "SIGKILL");
    expect(await rest.settled(id)).toMatchObject({
      status: "error",
      end_reason: "worker_lost",
      stdout: "up\n",
    });
    expect(await rest.run({ code: "set_result(1)" })).toMatchObject({ status: "completed", result: 1 });
    await expect.poll(() => family.filter(isAlive), { timeout: 5_000 }).toEqual([]);
    await expect.poll(async () => (await rest.project("demo")).idle_workers, { timeout: 20_000 }).toBe(2);
  }, 40_000);
});

describe("when a worker stops answering", () => {
  it("an execution whose worker stops answering ends as worker_lost, and the worker is replaced", async () => {
    const frozen = await startAirlock({ projects: { demo: "replicas: 1\n" } });
    try {
      const client = restClient(frozen.url);
      const id = await client.submit({ code: "print('up', flush=True)\nwhile True: pass", timeout: 5 });
      await expect.poll(async () => (await client.get(id)).stdout).toBe("up\n");
      // The zygote: it would have to say that the script is dead.
      const [supervisor] = workerPids(frozen.pid);
      const [zygote] = childrenOf(supervisor as number);
      process.kill(zygote as number, "SIGSTOP");
      expect(await client.settled(id)).toMatchObject({ end_reason: "worker_lost", stdout: "up\n" });
      expect(await client.run({ code: "set_result(1)" })).toMatchObject({ status: "completed", result: 1 });
    } finally {
      await frozen.remove();
    }
  }, 60_000);
});

describe("when a worker freezes before a script with a network has its way there", () => {
  it("a script waits for a worker that freezes before its network is connected, and starts", async () => {
    const frozen = await startAirlock({
      projects: {
        listed: 'replicas: 1\nnetwork_allowlist: ["127.0.0.1:1"]\nallow_private: [127.0.0.1]\n',
      },
    });
    try {
      const client = restClient(frozen.url);
      await fetch(`${frozen.url}/projects/listed/up`, { method: "POST" });
      await expect
        .poll(async () => (await client.project("listed")).idle_workers, { timeout: 20_000 })
        .toBe(1);
      const [supervisor] = workerPids(frozen.pid);
      process.kill(supervisor as number, "SIGSTOP");
      const id = await client.submit({ project: "listed", code: "set_result(1)" });
      // Longer than the egress service tries to reach it.
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      expect(await client.get(id)).toMatchObject({ status: "pending" });
      process.kill(supervisor as number, "SIGCONT");
      expect(await client.settled(id)).toMatchObject({ status: "completed", result: 1 });
    } finally {
      await frozen.remove();
    }
  }, 60_000);
});

describe("when the whole service is killed and started again", () => {
  it("after Airlock was killed, finished executions are there, running ones have ended with a reason, and pending ones run", async () => {
    const finished = await rest.submit({ code: "print('kept'); set_result({'x': 1.0})" });
    const finishedBody = await rest.settledText(finished);
    const running = [1, 2].map(() =>
      rest.submit({ code: "import time; print('up', flush=True); time.sleep(100)" }),
    );
    const ids = await Promise.all(running);
    for (const id of ids) await expect.poll(async () => (await rest.get(id)).stdout).toBe("up\n");
    const pending = await rest.submit({ code: "set_result('late')" });
    const family = workerPids().flatMap(descendants);
    await airlock.kill();
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    expect(await rest.settledText(finished)).toBe(finishedBody);
    for (const id of ids) {
      expect(await rest.settled(id)).toMatchObject({
        status: "error",
        end_reason: "worker_lost",
        stdout: "up\n",
      });
      expect((await rest.get(id)).error).toMatch(/restarted/);
    }
    expect(await rest.settled(pending)).toMatchObject({ status: "completed", result: "late" });
    await expect.poll(() => family.filter(isAlive), { timeout: 5_000 }).toEqual([]);
  }, 60_000);

  it("an Airlock that is drained lets its runs finish", async () => {
    const id = await rest.submit({
      code: "import time; print('up', flush=True); time.sleep(1.5); set_result('finished')",
    });
    await expect.poll(async () => (await rest.get(id)).stdout).toBe("up\n");
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    expect(await rest.get(id)).toMatchObject({ status: "completed", result: "finished" });
  }, 60_000);
});

describe("retention", () => {
  it("retention forgets finished executions after AIRLOCK_RETENTION", async () => {
    const brief = await startAirlock({ env: { AIRLOCK_RETENTION: "4s" } });
    try {
      const client = restClient(brief.url);
      const id = await client.submit({ code: "pass" });
      expect((await client.settled(id)).status).toBe("completed");
      const status = async () => (await fetch(`${brief.url}/executions/${id}`)).status;
      await expect.poll(status).toBe(404);
    } finally {
      await brief.remove();
    }
  }, 40_000);
});
