import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../support/airlock.ts";

let airlock: TestAirlock;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: "", broken: "limits:\n  timeouts: 5\n" } });
});
afterAll(async () => {
  await airlock.remove();
});

describe("./airlock up", () => {
  it("prints where it is, and a first curl", () => {
    expect(airlock.output()).toContain(`Airlock is up at ${airlock.url}`);
    expect(airlock.output()).toContain(`curl -s ${airlock.url}/execute`);
  });

  it("names file, line and field of a broken project file, and serves the others", async () => {
    expect(airlock.output()).toContain('broken.yaml:3: field "limits.timeouts" is not a known field');
    expect((await fetch(`${airlock.url}/projects/demo`)).status).toBe(200);
  });

  it("says which services are ready", async () => {
    const ready = await fetch(`${airlock.url}/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({
      status: "ready",
      services: { router: "ready", "pool-manager": "ready", sanitizer: "ready", secrets: "ready" },
    });
  });

  it("refuses a port in use with one sentence", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const { status, stderr } = await runAirlock([
      "up",
      "--port",
      String(port),
      "--data",
      `${airlock.directory}/other`,
    ]);
    server.close();
    expect(status).toBe(2);
    expect(stderr.trim()).toBe(`Port ${port} is in use; stop what uses it, or choose another with --port.`);
  });

  it("refuses a data directory that another one uses", async () => {
    const { status, stderr } = await runAirlock(["up", "--port", "0", "--data", airlock.dataDirectory]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^Another Airlock \(process \d+\) already uses this data directory; .*\n$/);
    expect((await fetch(`${airlock.url}/health`)).status).toBe(200);
  });

  it.each([
    [["--port", "http"], {}, /^AIRLOCK_PORT must be a whole number from 0 to 65535, not "http"\n$/],
    [["--prot", "1"], {}, /^Unknown option '--prot'.*\n$/],
    [["--driver", "vm"], {}, /^AIRLOCK_DRIVER must be one of process, docker, not "vm"\n$/],
    [
      ["--projects", "/no/such/dir"],
      {},
      /^The projects directory \/no\/such\/dir cannot be read: no such file or directory; .*\n$/,
    ],
    [[], { AIRLOCK_PYTHON: "/no/python" }, /^There is no Python at \/no\/python; .*\n$/],
    [[], { AIRLOCK_RETENTION: "soon" }, /^AIRLOCK_RETENTION must be a length of time such as .*\n$/],
  ])("refuses %j %j with one sentence", async (args, env, sentence) => {
    const { status, stderr } = await runAirlock(["up", "--data", `${airlock.directory}/other`, ...args], {
      env,
    });
    expect(stderr).toMatch(sentence);
    expect(status).toBe(2);
  });

  it("drains and exits 0 on Ctrl-C", async () => {
    const other = await startAirlock();
    expect(await other.stop()).toBe(0);
    expect(other.output()).toContain("Finishing what runs");
    await expect(fetch(`${other.url}/health`)).rejects.toThrow();
    await other.remove();
  });
});
