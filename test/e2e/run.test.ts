import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, spawnAirlock, startAirlock, type TestAirlock } from "../support/airlock.ts";
import { type ExecutionView, restClient } from "../support/rest.ts";
import { startToxiproxy, toxiproxyMissing } from "../support/toxiproxy.ts";

let airlock: TestAirlock;
let env: Record<string, string>;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: "settings: {REGION: eu}\n", tables: "" } });
  env = { AIRLOCK_URL: airlock.url };
});
afterAll(async () => {
  await airlock.remove();
});

async function run(code: string, args: readonly string[] = [], input?: string) {
  const file = join(airlock.directory, "script.py");
  await writeFile(file, code);
  return await runAirlock(["run", file, "--project", "demo", ...args], {
    env,
    ...(input !== undefined && { input }),
  });
}

describe("./airlock run", () => {
  it("shows the output, and the result with its digits", async () => {
    const { status, stdout, stderr } = await run(
      "import sys\nprint('out')\nprint('err', file=sys.stderr)\nset_result({'x': 1.0, 'n': 2**64})",
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: 'out\n{"x":1.0,"n":18446744073709551616}\n',
      stderr: "err\n",
    });
  });

  it("shows output as it comes", async () => {
    const file = join(airlock.directory, "slow.py");
    await writeFile(file, "import time\nprint('early', flush=True)\ntime.sleep(8)\nprint('late')");
    const child = spawnAirlock(["run", file, "--project", "demo"], env);
    let stdout = "";
    child.stdout?.on("data", (data) => {
      stdout += data;
    });
    await expect.poll(() => stdout).toBe("early\n");
    await once(child, "close");
    expect(stdout).toBe("early\nlate\n");
  });

  it("asks for the answer when the script pauses", async () => {
    const { status, stdout, stderr } = await run(
      "print(llm.complete('Which region?'), llm.complete('Sure?'))",
      [],
      "eu-north\nyes\n",
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "eu-north yes\n" });
    expect(stderr).toContain("Which region?");
    expect(stderr).toContain("Sure?");
  });

  it("cancels when there is nobody to ask", async () => {
    expect(await run("llm.complete('Anybody?')", [], "")).toMatchObject({ status: 1 });
  });

  it.each([
    ["sys.exit(3)", 1, "exit_nonzero"],
    ["1/0", 1, "ZeroDivisionError"],
    ["while True: pass", 124, "timeout"],
  ])("exits with the outcome of %j", async (code, status, told) => {
    const result = await run(`import sys\n${code}`, ["--timeout", status === 124 ? "1" : "20"]);
    expect(result.status).toBe(status);
    expect(result.stderr).toContain(told);
  });

  it("prints the execution for machines with --json", async () => {
    const { status, stdout } = await run("print('x'); set_result([1.0])", ["--json"]);
    expect(status).toBe(0);
    expect(stdout).toContain('"result":[1.0]');
    expect(JSON.parse(stdout) as ExecutionView).toMatchObject({ status: "completed", stdout: "x\n" });
  });

  it("hands over settings and memory", async () => {
    const memory = join(airlock.directory, "memory.json");
    await writeFile(memory, '{"a": {"n": 9007199254740993}}');
    const { stdout } = await run("set_result([settings.get('REGION'), memory.get('a', 'n')])", [
      ...["--setting", "REGION=us=east", "--memory", memory],
    ]);
    expect(stdout).toBe('["us=east",9007199254740993]\n');
  });

  const runUntilCtrlC = async (url: string) => {
    const file = join(airlock.directory, "endless.py");
    await writeFile(file, "print('endless', flush=True)\nwhile True: pass");
    const child = spawnAirlock(["run", file, "--project", "demo", "--json"], { AIRLOCK_URL: url });
    const list = async () =>
      ((await (await fetch(`${airlock.url}/executions?status=running`)).json()) as { executions: unknown[] })
        .executions;
    await expect.poll(async () => (await list()).length).toBe(1);
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([130, null]);
    expect(await list()).toEqual([]);
  };

  it("cancels the execution on Ctrl-C", () => runUntilCtrlC(airlock.url));

  it.skipIf(toxiproxyMissing())(
    "cancels it though the answer that names it is still on its way",
    async () => {
      const toxiproxy = await startToxiproxy();
      const port = await toxiproxy.proxy("gateway", Number(new URL(airlock.url).port));
      const way = await toxiproxy.on("gateway");
      await way.hurt({ type: "latency", attributes: { latency: 1_000, jitter: 0 } });
      await runUntilCtrlC(`http://127.0.0.1:${port}`);
      await toxiproxy.stop();
    },
  );

  it.each([
    [["run"], 2, "run takes one file"],
    [["run", "/no/such/file.py", "--project", "demo"], 2, "cannot be read: no such file or directory."],
    [["run", "-", "--project", "nope"], 1, "Use one of: demo, tables."],
    [["down", "nope"], 1, "Use one of: demo, tables."],
    [["frobnicate"], 2, 'There is no command "frobnicate"'],
  ])("refuses %j with a sentence", async (args, status, told) => {
    const result = await runAirlock(args, { env, input: "print(1)" });
    expect(result.stderr).toContain(told);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(result.status).toBe(status);
  });

  it("says when nothing runs there", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    server.close();
    await once(server, "close");
    const { status, stderr } = await runAirlock(["projects"], { env: { AIRLOCK_URL: url } });
    expect(status).toBe(1);
    expect(stderr).toContain(`not running at ${url}`);
    expect(stderr).toContain("./airlock up");
  });
});

describe("./airlock projects, up, down and logs", () => {
  it("show and steer the workers of a project", async () => {
    expect((await runAirlock(["up", "tables", "--replicas", "2"], { env })).status).toBe(0);
    await expect.poll(async () => (await restClient(airlock.url).project("tables")).idle_workers).toBe(2);
    expect((await runAirlock(["projects"], { env })).stdout).toMatch(/tables\s+up\s+2/);
    expect((await runAirlock(["down", "tables"], { env })).status).toBe(0);
    expect((await runAirlock(["projects"], { env })).stdout).toMatch(/tables\s+down\s+0/);
  });

  it("read the log", async () => {
    const { status, stdout } = await runAirlock([
      "logs",
      "--data",
      airlock.dataDirectory,
      "--project",
      "tables",
    ]);
    expect(status).toBe(0);
    expect(stdout).toContain("worker ready");
  });
});
