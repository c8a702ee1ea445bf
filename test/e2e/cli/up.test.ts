import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { RouterServiceClient } from "#proto/router.ts";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { restClient } from "../../harness/rest.ts";
import { rootMissing } from "../../support/root-missing.ts";

const ALL = { project: "", status: ExecutionStatus.UNSPECIFIED, limit: 10, cursor: "" };

let airlock: TestAirlock;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: "", broken: "limits:\n  timeouts: 5\n" } });
});
afterAll(async () => {
  await airlock.remove();
});

describe("./airlock up", () => {
  it("./airlock up prints its address, and a first curl", () => {
    expect(airlock.output()).toContain(`Airlock is up at ${airlock.url}`);
    expect(airlock.output()).toContain(`curl -s ${airlock.url}/execute`);
  });

  it("./airlock up names file, line and field of a broken project file, and serves the others", async () => {
    expect(airlock.output()).toContain('broken.yaml:3: field "limits.timeouts" is not a known field');
    expect((await fetch(`${airlock.url}/projects/demo`)).status).toBe(200);
  });

  it("./airlock up says which services are ready", async () => {
    const ready = await fetch(`${airlock.url}/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({
      status: "ready",
      services: { router: "ready", "pool-manager": "ready", sanitizer: "ready", secrets: "ready" },
    });
  });

  it("./airlock up refuses a port in use with one sentence", async () => {
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

  it("./airlock up refuses a data directory that another Airlock uses", async () => {
    const { status, stderr } = await runAirlock(["up", "--port", "0", "--data", airlock.dataDirectory]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^Another Airlock \(process \d+\) already uses this data directory; .*\n$/);
    expect((await fetch(`${airlock.url}/health`)).status).toBe(200);
  });

  it.each([
    [["--port", "http"], {}, /^--port must be a whole number from 0 to 65535, not "http"\n$/],
    [[], { AIRLOCK_PORT: "http" }, /^AIRLOCK_PORT must be a whole number from 0 to 65535, not "http"\n$/],
    [["--prot", "1"], {}, /^Unknown option '--prot'\. See .*\n$/],
    [["--port"], {}, /^--port needs a value\. See .*\n$/],
    [["--port", "-1"], {}, /^--port needs a value; one that begins with - is written --port=-…\. See .*\n$/],
    [["--mock=yes"], {}, /^--mock takes no value\. See .*\n$/],
    [["--port", "1", "demo"], {}, /^up takes only flags, or the name of a project first\. See .*\n$/],
    [["--grace", "long"], {}, /^--grace must be a length of time such as .*, not "long"\n$/],
    [["--driver", "vm"], {}, /^--driver must be one of process, docker, not "vm"\n$/],
    [
      ["--projects", "/no/such/dir"],
      {},
      /^The projects directory \/no\/such\/dir cannot be read: no such file or directory; .*\n$/,
    ],
    [[], { AIRLOCK_PYTHON: "/no/python" }, /^There is no Python at \/no\/python; .*\n$/],
    [[], { AIRLOCK_RETENTION: "soon" }, /^AIRLOCK_RETENTION must be a length of time such as .*\n$/],
    [[], { AIRLOCK_RETENTION: "0s" }, /^AIRLOCK_RETENTION must be at least 1s, not "0s"\n$/],
    [["--grace", "30d"], {}, /^--grace must be at most 7d, not "30d"\n$/],
    [
      [],
      { AIRLOCK_DATABASE_URL: "postgres://x:PASSWORD@127.0.0.1/y" },
      /^AIRLOCK_DATABASE_URL cannot be used here: \.\/airlock up keeps executions in SQLite (?!.*PASSWORD).*\n$/,
    ],
    [
      [],
      { AIRLOCK_HOST: "192.0.2.1" },
      /^AIRLOCK_HOST must be an address of this machine, not "192\.0\.2\.1"\.\n$/,
    ],
    [
      [],
      { AIRLOCK_HOST: "0.0.0.0", AIRLOCK_AUTH: "off" },
      /^AIRLOCK_AUTH may be off only where the gateway listens on this machine alone, and AIRLOCK_HOST is 0\.0\.0\.0; set AIRLOCK_AUTH=required, or AIRLOCK_HOST=127\.0\.0\.1\.\n$/,
    ],
    [
      [],
      { AIRLOCK_VAULT_ADDR: "foo", AIRLOCK_VAULT_TOKEN: "t" },
      /^AIRLOCK_VAULT_ADDR must be a URL such as .*, not "foo"\n$/,
    ],
  ])("./airlock up refuses %j %j with one sentence", async (args, env, sentence) => {
    const { status, stderr } = await runAirlock(["up", "--data", `${airlock.directory}/other`, ...args], {
      env,
    });
    expect(stderr).toMatch(sentence);
    expect(status).toBe(2);
  });

  it("./airlock up prints what clients and gRPC callers need to reach it", async () => {
    expect(airlock.output()).toContain(`export AIRLOCK_URL=${airlock.url}\n`);
    const [, socket = ""] = /gRPC, for your user only: (unix:\S+)/.exec(airlock.output()) ?? [];
    const router = connectTo(RouterServiceClient, socket);
    const { executions } = await callUnary(router, router.listExecutions, ALL, "router", {
      timeoutMs: 5_000,
    });
    router.close();
    expect(executions).toEqual([]);
  });

  it("./airlock up names a project to try, and where other machines reach it, the file with the first admin's key", async () => {
    expect(airlock.output()).toContain('"project": "demo"');
    expect(airlock.output()).not.toContain("API key");
    const other = await startAirlock({
      projects: { zoo: "", broken: "x: 1\n" },
      env: { AIRLOCK_HOST: "0.0.0.0" },
    });
    await expect.poll(() => other.output()).toContain('"project": "zoo"');
    const file = `${other.dataDirectory}/admin-key`;
    expect(other.output()).toContain(`Every client needs an API key; the first admin's is in ${file} `);
    expect(other.output()).toContain(`/execute -H "authorization: Bearer $(cat ${file})" -H 'content-type`);
    expect(other.output()).toContain(` AIRLOCK_KEY=$(cat ${file})\n`);
    const key = (await readFile(file, "utf8")).trim();
    const withoutKey = await restClient(other.url).post("/execute", { project: "zoo", code: "1" });
    expect([withoutKey.status, withoutKey.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    const rest = restClient(other.url, key);
    expect(await rest.run({ project: "zoo", code: "set_result(1)" })).toMatchObject({ result: 1 });
    await rest.settled(await rest.submit({ project: "zoo", code: "llm.complete('?')" }));
    await other.stop();
    expect(other.output()).toContain("1 execution waits for a response");
    expect(other.output()).not.toContain(key);
    await other.remove();
  });

  it("./airlock up makes a human its first admin though a client took the name, and names no file with a revoked key", async () => {
    const open = await startAirlock();
    const { directory } = open;
    expect((await restClient(open.url).post("/keys", { name: "admin" })).status).toBe(201);
    await open.stop();
    const demanding = await startAirlock({ directory, env: { AIRLOCK_AUTH: "required" } });
    const file = `${demanding.dataDirectory}/admin-key`;
    await expect.poll(() => demanding.output()).toContain(`the first admin's is in ${file} `);
    const as = (key: string, path: string, init: RequestInit = {}) =>
      fetch(demanding.url + path, { ...init, headers: { authorization: `Bearer ${key}` } });
    const first = (await readFile(file, "utf8")).trim();
    const me = await (await as(first, "/me")).json();
    expect(me).toMatchObject({ principal: "key:admin-2", kind: "human", role: "admin" });
    const wish = { name: "other", kind: "human", role: "admin" };
    const made = await restClient(demanding.url, first).post("/keys", wish);
    const { key: other } = (await made.json()) as { key: string };
    const { keys } = (await (await as(other, "/keys")).json()) as {
      keys: { key_id: string; name: string }[];
    };
    const id = keys.find(({ name }) => name === "admin-2")?.key_id;
    expect((await as(other, `/keys/${id}`, { method: "DELETE" })).status).toBe(204);
    const again = await demanding.restart();
    await expect
      .poll(() => again.output())
      .toContain("no first key was made, because admins have keys already");
    expect(again.output()).toContain("AIRLOCK_KEY=YOUR_KEY\n");
    expect(again.output()).not.toContain(file);
    await expect(readFile(file)).rejects.toMatchObject({ code: "ENOENT" });
    await again.remove();
  }, 90_000);

  it.each([
    [["--runtime", "runsc"], /^--runtime needs --driver docker\. See .*\n$/],
    [["--driver", "podman"], /^--driver must be one of process, docker, not "podman"\n$/],
  ])("./airlock up and doctor refuse %j with one sentence", async (args, sentence) => {
    const { status, stderr } = await runAirlock(["doctor", ...args]);
    expect(stderr).toMatch(sentence);
    expect(status).toBe(2);
  });

  it("./airlock up says on Ctrl-C which executions run and how long they may, and obeys --grace", async () => {
    const other = await startAirlock({
      projects: { demo: "replicas: 2\n" },
      env: { AIRLOCK_GRACE: "2.5s" },
    });
    const rest = restClient(other.url);
    const codes = ["import time; time.sleep(60)", "llm.complete('?')"];
    const [running = "", paused = ""] = await Promise.all(codes.map((code) => rest.submit({ code })));
    await expect.poll(async () => (await rest.get(running)).status).toBe("running");
    await expect.poll(async () => (await rest.get(paused)).status).toBe("awaiting_llm");
    const startedMs = performance.now();
    expect(await other.stop()).toBe(0);
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(2_400);
    expect(tookMs).toBeLessThan(9_000);
    expect(other.output()).toContain(
      "Finishing what runs, for 2.5 s at most (--grace); Ctrl-C once more stops at once.",
    );
    expect(other.output()).toContain("1 execution runs now; what has not ended by then ends as worker_lost.");
    expect(other.output()).toContain("1 execution waits for a response, and ends as worker_lost.");
    const again = await other.restart();
    const after = restClient(again.url);
    expect([(await after.settled(running)).end_reason, (await after.settled(paused)).end_reason]).toEqual([
      "worker_lost",
      "worker_lost",
    ]);
    await again.remove();
  }, 60_000);

  it("./airlock up lets runs finish for as long as --grace says", async () => {
    const other = await startAirlock({ env: { AIRLOCK_GRACE: "60s" } });
    const rest = restClient(other.url);
    const id = await rest.submit({ code: "import time; time.sleep(14); set_result('finished')" });
    await expect.poll(async () => (await rest.get(id)).status).toBe("running");
    expect(await other.stop()).toBe(0);
    const again = await other.restart();
    expect(await restClient(again.url).settled(id)).toMatchObject({ result: "finished" });
    await again.remove();
  }, 60_000);

  it.each([
    [
      "a file",
      async (path: string) => await writeFile(path, ""),
      /^The data directory \S+ cannot be made: .*\n$/,
    ],
    [
      "a file's place",
      async (path: string) => await writeFile(join(path, ".."), ""),
      /cannot be made: .*\n$/,
    ],
    [
      "one with a file for its logs",
      async (path: string) => {
        await mkdir(path);
        await writeFile(join(path, "logs"), "");
      },
      /^The data directory \S+ cannot be used: \S+\/logs: file already exists\. .*\n$/,
    ],
    [
      "one with something else for a database",
      async (path: string) => {
        await mkdir(path);
        await writeFile(join(path, "airlock.db"), "no database ".repeat(1_000));
      },
      /^The database in the data directory \S+ cannot be opened: file is not a database\. .*\n$/,
    ],
    [
      "one of a newer Airlock",
      async (path: string) => {
        await mkdir(path);
        const db = new DatabaseSync(join(path, "airlock.db"));
        db.exec("PRAGMA user_version = 9999");
        db.close();
      },
      /^The database \S+ was written by a newer Airlock \(schema 9999\), .*\n$/,
    ],
    [
      "one with a damaged key",
      async (path: string) => {
        await mkdir(path);
        await writeFile(join(path, "version-key"), "no key");
      },
      /^\S+\/version-key contains no key; remove the file, .*\n$/,
    ],
    ["in /proc", async () => undefined, /^The data directory \/proc\/\S+ cannot be made: .*\n$/],
  ])("./airlock up refuses %s as data directory with one sentence", async (what, make, told) => {
    const inProc = what === "in /proc";
    const path = inProc ? "/proc/airlock-data" : join(airlock.directory, what.replaceAll(/\W/g, "-"), "data");
    if (!inProc) await mkdir(join(path, ".."));
    if (what === "a file's place") await rm(join(path, ".."), { recursive: true });
    await make(path);
    const { status, stderr } = await runAirlock(["up", "--port", "0", "--data", path]);
    expect(stderr).toMatch(told);
    expect(status).toBe(2);
  });

  it.skipIf(rootMissing())(
    `./airlock up refuses a full or read-only disk as data directory with one sentence${rootMissing() ? ` (${rootMissing()})` : ""}`,
    async (context) => {
      const disk = join(airlock.directory, "disk");
      await mkdir(disk);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], { stdio: "ignore" });
      } catch {
        context.skip("this user may mount nothing here");
      }
      try {
        const refusal = async (name: string) =>
          (await runAirlock(["up", "--port", "0", "--data", join(disk, name)])).stderr;
        expect(await refusal("filling")).toMatch(
          /^The database in the data directory \S+ .* disk is full\. .*\n$/,
        );
        await writeFile(join(disk, "fill"), Buffer.alloc(64 * 1024)).catch(() => undefined);
        expect(await refusal("full")).toMatch(/^The data directory cannot be locked: .* full.*\n$/);
        execFileSync("mount", ["-o", "remount,ro", disk]);
        expect(await refusal("new")).toMatch(
          /^The data directory \S+ cannot be made: read-only file system; .*\n$/,
        );
      } finally {
        execFileSync("umount", [disk]);
      }
    },
    90_000,
  );

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "./airlock up drains and exits 0 on %s",
    async (signal) => {
      const other = await startAirlock();
      expect(await other.stop(signal)).toBe(0);
      expect(other.output()).toContain("Finishing what runs");
      await expect(fetch(`${other.url}/health`)).rejects.toThrow();
      await other.remove();
    },
  );
});
