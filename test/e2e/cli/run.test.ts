import { execFile } from "node:child_process";
import { once } from "node:events";
import { lstat, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import { runAirlock, spawnAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { restClient } from "../../harness/rest.ts";
import { startToxiproxy, toxiproxyMissing } from "../../harness/toxiproxy.ts";

let airlock: TestAirlock;
let env: Record<string, string>;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: "settings: {REGION: eu}\n", tables: "" } });
  env = { AIRLOCK_URL: airlock.url };
  // The first run would print a line about a worker that starts slowly on a busy machine.
  await restClient(airlock.url).run({ code: "pass" });
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
  it("./airlock run shows the output, and the result with its digits", async () => {
    const { status, stdout, stderr } = await run(
      "import sys\nprint('out')\nprint('err', file=sys.stderr)\nset_result({'x': 1.0, 'n': 2**64})",
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: 'out\n{"x":1.0,"n":18446744073709551616}\n',
      stderr: expect.stringMatching(/^\(execution [0-9a-f-]{36}\)\nerr\n$/),
    });
  });

  it("./airlock run names the execution, so that the user can look it up", async () => {
    const { stderr } = await run("pass");
    const [, id] = /^\(execution (\S+)\)$/m.exec(stderr) ?? [];
    expect((await fetch(`${airlock.url}/executions/${id}`)).status).toBe(200);
  });

  it("./airlock run shows output as it comes", async () => {
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

  it("./airlock run asks for the answer when the script pauses", async () => {
    const { status, stdout, stderr } = await run(
      "print(llm.complete('Which region?'), llm.complete('Sure?'))",
      [],
      "eu-north\nyes\n",
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "eu-north yes\n" });
    expect(stderr).toContain("Which region?");
    expect(stderr).toContain("Sure?");
  });

  it("./airlock run cancels an execution that asks when it has no terminal", async () => {
    expect(await run("llm.complete('Anybody?')", [], "")).toMatchObject({ status: 1 });
  });

  it.each([
    ["sys.exit(3)", 3, "exit_nonzero"],
    ["sys.exit(-1)", 255, "exit_nonzero"],
    ["sys.exit('no more rows')", 1, "no more rows"],
    ["import os; os._exit(7)", 7, "exit_nonzero"],
    ["import os; os.kill(os.getpid(), 15)", 143, "killed"],
    ["1/0", 1, "ZeroDivisionError"],
    ["while True: pass", 124, "timeout"],
  ])("./airlock run exits with the outcome of %j", async (code, status, told) => {
    const result = await run(`import sys\n${code}`, ["--timeout", status === 124 ? "1" : "20"]);
    expect(result.status).toBe(status);
    expect(result.stderr).toContain(told);
  });

  it("./airlock run prints the execution for machines with --json", async () => {
    const { status, stdout } = await run("print('x'); set_result([1.0])", ["--json"]);
    expect(status).toBe(0);
    expect(stdout).toContain('"result":[1.0]');
    expect(JSON.parse(stdout) as Execution).toMatchObject({ status: "completed", stdout: "x\n" });
  });

  it("./airlock run passes settings and memory to the script", async () => {
    const memory = join(airlock.directory, "memory.json");
    await writeFile(memory, '{"a": {"n": 9007199254740993}}');
    const { stdout } = await run("set_result([settings.get('REGION'), memory.get('a', 'n')])", [
      ...["--setting", "REGION=us=east", "--memory", memory],
    ]);
    expect(stdout).toBe('["us=east",9007199254740993]\n');
  });

  it("./airlock run shows the script's memory updates, or saves the memory over its input file", async () => {
    const code = "memory.set('a', 'n', 2**64); memory.set('b', 'x', [1.0])";
    expect((await run(code)).stderr).toContain(
      '(memory updates: {"a":{"n":18446744073709551616},"b":{"x":[1.0]}})',
    );
    const memory = join(airlock.directory, "kept.json");
    const options = ["--memory", memory, "--save-memory", memory];
    expect((await run(code, options)).stderr).not.toContain("memory");
    const more = "memory.set('a', 'm', memory.get('a', 'n') + 1)";
    expect((await run(more, options)).status).toBe(0);
    expect(await readFile(memory, "utf8")).toBe(
      '{\n  "a": {\n    "n": 18446744073709551616,\n    "m": 18446744073709551617\n  },\n  "b": {\n    "x": [1.0]\n  }\n}\n',
    );
  });

  it("./airlock run leaves the file of a memory that is not UTF-8, as it was", async () => {
    const memory = join(airlock.directory, "latin1.json");
    const latin1 = Buffer.from('{"c": {"name": "Jos\u00e9"}}', "latin1");
    await writeFile(memory, latin1);
    const options = ["--memory", memory, "--save-memory", memory];
    const { status, stderr } = await run("memory.set('c', 'x', 1)", options);
    expect(stderr).toMatch(/latin1\.json is not encoded as UTF-8\. .*iconv/);
    expect(status).toBe(2);
    expect(await readFile(memory)).toEqual(latin1);
  });

  it("./airlock run replaces the file that a memory's link leads to, and keeps its mode", async () => {
    const [memory, link] = [join(airlock.directory, "private.json"), join(airlock.directory, "link.json")];
    await writeFile(memory, "{}", { mode: 0o600 });
    await symlink(memory, link);
    expect((await run("memory.set('a', 'n', 1)", ["--memory", link, "--save-memory", link])).status).toBe(0);
    expect(JSON.parse(await readFile(memory, "utf8"))).toEqual({ a: { n: 1 } });
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await stat(memory)).mode & 0o777).toBe(0o600);
    expect((await readdir(airlock.directory)).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it.each([
    [
      '{"a": {"n": 1},}',
      /m\.json is not valid JSON: line 1, column 16 \(remove the comma before the closing bracket\)\.\n$/,
    ],
    ["[1]", /m\.json contains no memory; it must be JSON such as .*\n$/],
    ["", /m\.json is empty; .*\n$/],
  ])("./airlock run names the file of a memory that is not valid: %s", async (text, told) => {
    const memory = join(airlock.directory, "m.json");
    await writeFile(memory, text);
    const { status, stderr } = await run("pass", ["--memory", memory]);
    expect(stderr).toMatch(told);
    expect(status).toBe(2);
  });

  it.each([
    [
      "# -*- coding: latin-1 -*-\nprint('\u00e9')\n",
      "latin1",
      /is not encoded as UTF-8 \(line 2\).*iconv -f latin-1/,
    ],
    ["print('\u00e9')\n", "latin1", /is not encoded as UTF-8 \(line 1\)/],
    [
      "#!/bin/python\n# vim: set fileencoding=cp1252 :\nprint('\u00e9')\n",
      "utf8",
      /names cp1252, but is encoded as UTF-8/,
    ],
    ["print(1)\n\0", "utf8", /a NUL byte is in line 2\./],
  ] as const)("./airlock run refuses a text that would change: %j in %s", async (text, encoding, told) => {
    const file = join(airlock.directory, "encoded.py");
    await writeFile(file, Buffer.from(text, encoding));
    const { status, stderr } = await runAirlock(["run", file, "-p", "demo"], { env });
    expect(stderr).toMatch(told);
    expect(status).toBe(2);
  });

  it("./airlock run accepts a script in ASCII whatever encoding it names, and UTF-8 that says so", async () => {
    expect((await run("# coding: latin-1\nprint('e')")).stdout).toBe("e\n");
    expect((await run("# coding: utf-8\nprint('\u00e9')")).stdout).toBe("\u00e9\n");
  });

  it.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("./airlock run cancels the execution on %s", async (signal, status) => {
    await runUntil((child) => child.kill(signal), status, airlock.url);
  });

  it.each(["run", "run --json"])("./airlock %s writes all output to a slow pipe", async (command) => {
    const file = join(airlock.directory, "large.py");
    await writeFile(file, "print('x' * 200_000); set_result('y' * 300_000)");
    const line = `./airlock ${command} '${file}' --project demo | (sleep 1; wc -c)`;
    const { stdout } = await promisify(execFile)("bash", ["-c", line], { env: { ...process.env, ...env } });
    expect(Number(stdout)).toBeGreaterThan(500_000);
  });

  it("./airlock run begins the result on a line of its own", async () => {
    expect((await run("print(4, end=''); set_result(2)")).stdout).toBe("4\n2\n");
  });

  it("./airlock run cancels the execution when the reader of its output is gone", async () => {
    await runUntil((child) => child.stdout?.destroy(), 0, airlock.url, []);
  });

  it("./airlock run waits for an Airlock that restarts, and shows how the execution ended", async () => {
    const own = await startAirlock();
    const file = join(own.directory, "long.py");
    await writeFile(file, "import time\nprint('begun', flush=True)\ntime.sleep(4)\nprint('ended')");
    const port = Number(new URL(own.url).port);
    const child = spawnAirlock(["run", file, "-p", "demo"], { AIRLOCK_URL: own.url });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => {
        output += data;
      });
    }
    const ended = once(child, "close");
    await expect.poll(() => output).toContain("begun");
    // Airlock lets the run finish, and has stopped by then.
    await own.stop();
    await expect.poll(() => output).toContain("(Airlock does not answer; trying again for 60 s)");
    const again = await startAirlock({ directory: own.directory, projects: {}, port });
    expect((await ended)[0]).toBe(0);
    expect(output).toContain("ended\n");
    await again.remove();
  }, 90_000);

  type Child = ReturnType<typeof spawnAirlock>;
  const runUntil = async (end: (child: Child) => void, status: number, url: string, flags = ["--json"]) => {
    const file = join(airlock.directory, "endless.py");
    await writeFile(file, "import time\nwhile True:\n    print('endless', flush=True)\n    time.sleep(0.2)");
    const child = spawnAirlock(["run", file, "--project", "demo", ...flags], { AIRLOCK_URL: url });
    const list = async () =>
      ((await (await fetch(`${airlock.url}/executions?status=running`)).json()) as { executions: unknown[] })
        .executions;
    await expect.poll(async () => (await list()).length).toBe(1);
    end(child);
    expect(await once(child, "exit")).toEqual([status, null]);
    expect(await list()).toEqual([]);
  };

  const runUntilCtrlC = (url: string) => runUntil((child) => child.kill("SIGINT"), 130, url);

  it("./airlock run cancels the execution on Ctrl-C", () => runUntilCtrlC(airlock.url));

  it.skipIf(toxiproxyMissing())(
    `./airlock run cancels an execution on Ctrl-C before the answer that names it has arrived${toxiproxyMissing() ? ` (${toxiproxyMissing()})` : ""}`,
    async () => {
      const toxiproxy = await startToxiproxy();
      const port = await toxiproxy.proxy("gateway", Number(new URL(airlock.url).port));
      const way = await toxiproxy.on("gateway");
      await way.inject({ type: "latency", attributes: { latency: 1_000, jitter: 0 } });
      await runUntilCtrlC(`http://127.0.0.1:${port}`);
      await toxiproxy.stop();
    },
  );

  it.each([
    [["run"], 2, "run takes one file"],
    [["run", "/no/such/file.py", "--project", "demo"], 2, "cannot be read: no such file or directory."],
    [["run", "-", "--project", "nope"], 1, "Use one of: demo, tables."],
    [["down", "nope"], 1, "Use one of: demo, tables."],
    [["frobnicate"], 2, 'There is no command "frobnicate". ./airlock help'],
    [["runn"], 2, 'There is no command "runn". Did you mean run?'],
    [["help", "porjects"], 2, 'There is no command "porjects". Did you mean projects?'],
    [["up", "demo", "--replicas", "-1"], 2, "--replicas needs a value; one that begins with - is written"],
    [["up", "demo", "--replicas=-1"], 2, '--replicas must be a whole number above 0, not "-1".'],
    [["run", "/tmp", "-p", "demo"], 2, "/tmp cannot be read: illegal operation on a directory."],
    [["certs", "--dayz", "3"], 2, "Unknown option '--dayz'. See ./airlock help certs."],
    [["logs", "--tail", "many"], 2, '--tail must be a whole number, not "many".'],
    [
      ["logs", "--since", "soon"],
      2,
      '--since must be a length of time such as 90s, 15m, 24h or 7d, not "soon"',
    ],
  ])("./airlock run refuses %j with a sentence", async (args, status, told) => {
    const result = await runAirlock(args, { env, input: "print(1)" });
    expect(result.stderr).toContain(told);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(result.status).toBe(status);
  });

  it("./airlock run says when no Airlock runs at its address", async () => {
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
  it("./airlock projects, up and down show and change the workers of a project", async () => {
    expect((await runAirlock(["up", "tables", "--replicas", "2"], { env })).status).toBe(0);
    await expect.poll(async () => (await restClient(airlock.url).project("tables")).idle_workers).toBe(2);
    expect((await runAirlock(["projects"], { env })).stdout).toMatch(/tables\s+up\s+2/);
    expect((await runAirlock(["down", "tables"], { env })).status).toBe(0);
    expect((await runAirlock(["projects"], { env })).stdout).toMatch(/tables\s+down\s+0/);
  });

  it("./airlock up and down say which workers are still to come, and which executions go on", async () => {
    const up = await runAirlock(["up", "tables", "--replicas", "3"], { env });
    expect(up.stdout).toBe("tables is up, 3 replicas\n");
    expect(up.stderr).toMatch(/^([12] of 3 workers (is|are) ready; more are starting\.\n)?$/m);
    const rest = restClient(airlock.url);
    const ids = await Promise.all([
      rest.submit({ project: "tables", code: "import time\nprint(1, flush=True)\ntime.sleep(6)" }),
      rest.submit({ project: "tables", code: "llm.complete('?')" }),
    ]);
    await expect.poll(async () => (await rest.get(ids[0] ?? "")).stdout).toBe("1\n");
    await expect.poll(async () => (await rest.get(ids[1] ?? "")).status).toBe("awaiting_llm");
    expect((await runAirlock(["down", "tables"], { env })).stdout).toBe(
      "tables is down, 0 replicas\n1 execution still runs, to the end.\n1 execution waits for a response and stays until then.\n",
    );
    await rest.respond(ids[1] ?? "", "yes");
    expect((await rest.settled(ids[0] ?? "")).end_reason).toBe("completed");
    const none = await runAirlock(["up", "tables", "--replicas", "0"], { env });
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining("./airlock down NAME")]);
  });

  it("./airlock down --hold keeps a project down until it is brought up again", async () => {
    const held = await runAirlock(["down", "tables", "--hold"], { env });
    expect(held.stdout).toBe(
      "tables is down, 0 replicas\nIt takes no executions until ./airlock up tables.\n",
    );
    expect((await runAirlock(["projects"], { env })).stdout).toMatch(/^tables +held +0 /m);
    const refused = await runAirlock(["run", "-", "-p", "tables"], { env, input: "print(1)" });
    expect([refused.status, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toContain("held");
    expect((await runAirlock(["up", "tables"], { env })).stdout).toMatch(/^tables is up, \d replicas?\n$/);
    expect((await runAirlock(["run", "-", "-p", "tables"], { env, input: "print(1)" })).stdout).toBe("1\n");
    expect((await runAirlock(["down", "tables"], { env })).status).toBe(0);
  });

  it("./airlock logs says which log it shows where AIRLOCK_URL names another Airlock", async () => {
    const elsewhere = { AIRLOCK_URL: "http://127.0.0.1:1", AIRLOCK_DATA_DIR: airlock.dataDirectory };
    const { stdout, stderr } = await runAirlock(["logs", "--tail", "1"], { env: elsewhere });
    expect(stdout).not.toBe("");
    expect(stderr).toContain("AIRLOCK_URL is not asked for its log: under Compose use docker compose logs");
  });

  it("./airlock logs reads the log", async () => {
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

  const logs = async (...args: string[]) =>
    await runAirlock(["logs", "--data", airlock.dataDirectory, ...args]);

  it("./airlock logs reads the end of the log, its recent lines, and its lines as JSON", async () => {
    const all = (await logs()).stdout.trimEnd().split("\n");
    expect((await logs("--tail", "2")).stdout.trimEnd().split("\n")).toEqual(all.slice(-2));
    expect((await logs("--since", "1h")).stdout.trimEnd().split("\n").length).toBeGreaterThanOrEqual(
      all.length,
    );
    expect((await logs("--since", "2100-01-01T00:00:00Z")).stdout).toBe("");
    const lines = (await logs("--json", "--project", "tables")).stdout.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).project)).toEqual(lines.map(() => "tables"));
  });

  it("./airlock logs says so when the log has nothing about a project or an execution", async () => {
    expect(await logs("--project", "nope")).toMatchObject({
      status: 0,
      stdout: "",
      stderr: 'The log has no line about project "nope".\n',
    });
    expect((await logs("019a")).stderr).toBe("The log has no line about execution 019a.\n");
  });

  it("./airlock projects, up and down print the service's answer with --json", async () => {
    const { stdout } = await runAirlock(["projects", "--json"], { env });
    expect((JSON.parse(stdout) as { projects: { name: string }[] }).projects.map(({ name }) => name)).toEqual(
      ["demo", "tables"],
    );
  });
});
