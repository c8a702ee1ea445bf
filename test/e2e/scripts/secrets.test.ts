import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const TOKEN = "tok-5f2c9a7e41d0-wxyz";
const QUOTED = 'pass"word\\with/ünïcode';
const KEY_LINES = [
  "-----BEGIN KEY-----",
  "MIIEvQIBADANBgkqhkiG",
  "9w0BAQEFAASCBKcwggSj",
  "-----END KEY-----",
];
const KEY = `${KEY_LINES.join("\n")}\n`;
const SHARED = "known-to-two-projects";
const STRUCTURED = {
  DATABASE_URL: "postgres://app:correct-horse-battery-staple@db.internal/app",
  DSN: "host=db.internal port=5432 user=app password=s3cr3T.pw-9x dbname=app",
  BASIC: Buffer.from("admin:S3cr3t-P@ssword-1999").toString("base64"),
  MNEMONIC: "legal winner thank year wave sausage worth useful legal winner thank yellow pepper orbit",
  API_PW: "Zx9kQ2pLm4T/abcQ",
};
const SECRETS = [TOKEN, QUOTED, ...KEY_LINES.slice(1, 3)];

let airlock: TestAirlock;
let rest: RestClient;
const bodies: string[] = [];

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-secrets-"));
  // Before the project file is looked at: a file that is not there is a mistake in it until the next look.
  await mkdir(join(directory, "projects"));
  await writeFile(join(directory, "projects", "key.pem"), KEY);
  airlock = await startAirlock({
    directory,
    projects: {
      demo: 'secrets: {TOKEN: "${env:TEST_TOKEN}", QUOTED: "${env:TEST_QUOTED}", KEY: "${file:key.pem}", SHARED: "${env:TEST_SHARED}"}\n',
      other: "",
      structured: `secrets: ${JSON.stringify(STRUCTURED)}\n`,
      brief: 'secrets: {TOKEN: "${env:TEST_TOKEN}"}\nlimits: {max_output_mb: 0.001}\n',
      unset: 'secrets: {MISSING: "${env:TEST_NOT_SET}"}\n',
    },
    env: { TEST_TOKEN: TOKEN, TEST_QUOTED: QUOTED, TEST_SHARED: SHARED, AIRLOCK_LOG_LEVEL: "debug" },
  });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
});

async function run(code: string): Promise<Execution> {
  const id = await rest.submit({ code, memory: { a: { b: 1 } } });
  const execution = await rest.settled(id);
  bodies.push(execution.json);
  return execution;
}

/** Every spelling in which a secret could stand in a JSON body, a log line or a file. */
function spellings(secret: string): string[] {
  const quoted = JSON.stringify(secret).slice(1, -1);
  return [secret, quoted, JSON.stringify(quoted).slice(1, -1)];
}

function expectClean(text: string): void {
  for (const secret of SECRETS)
    for (const spelling of spellings(secret)) expect(text).not.toContain(spelling);
}

describe("a secret", () => {
  it("a secret is readable by the script, in settings and in the environment", async () => {
    const execution = await run(
      "import os, hashlib\nset_result([hashlib.sha256(settings.get(k).encode()).hexdigest() == hashlib.sha256(os.environ[k].encode()).hexdigest() for k in ('TOKEN', 'QUOTED', 'KEY')] + [len(settings.get('TOKEN'))])",
    );
    expect(execution.result).toEqual([true, true, true, TOKEN.length]);
  });

  it("a secret is not overridden by a request's settings", async () => {
    const execution = await rest.run({
      code: "set_result(len(settings.get('TOKEN')))",
      settings: { TOKEN: "mine" },
    });
    expect(execution.result).toBe(TOKEN.length);
  });

  it("a secret does not leave by stdout or stderr", async () => {
    const execution = await run(
      "import sys\nprint(settings.get('TOKEN'))\nprint(settings.get('QUOTED'), settings.get('KEY'), file=sys.stderr)",
    );
    expect(execution.stdout).toBe("[REDACTED...wxyz]\n");
    expect(execution.stderr).toContain("[REDACTED");
  });

  it("a secret does not leave in the parts and lines that ordinary code makes of it", async () => {
    const code = [
      "import base64, pprint, urllib.request",
      "from urllib.parse import urlsplit",
      "g = settings.get",
      "print(dict(part.split('=', 1) for part in g('DSN').split()))",
      "print(base64.b64decode(g('BASIC')).decode())",
      "pprint.pprint({'MNEMONIC': g('MNEMONIC')}, width=50)",
      "try:",
      "    urllib.request.urlopen('https://app:' + g('API_PW') + '@h/x')",
      "except Exception as error:",
      "    print(error)",
      "set_result({'password': urlsplit(g('DATABASE_URL')).password})",
      "raise RuntimeError('login failed for ' + urlsplit(g('DATABASE_URL')).password)",
    ].join("\n");
    const execution = await rest.run({ code, project: "structured" });
    const body = JSON.stringify(execution);
    expect(execution.stdout).toContain("'host': 'db.internal'");
    expect(execution.error).toContain("login failed for [REDACTED...aple]");
    for (const text of ["staple", "s3cr3T", "P@ssword", "legal", "sausage", "Zx9kQ2pLm4T"])
      expect(body).not.toContain(text);
  });

  it("a secret does not leave byte by byte with flushes", async () => {
    const execution = await run(
      "import os\nfor byte in settings.get('TOKEN').encode():\n    os.write(1, bytes([byte]))\nos.write(1, b'!')",
    );
    expect(execution.stdout).toBe("[REDACTED...wxyz]!");
  });

  it("a secret does not leave as value or key of the result", async () => {
    const execution = await run(
      "t, q = settings.get('TOKEN'), settings.get('QUOTED')\nset_result({'v': [t, f'x{q}y', {t: 1.0, q: 2}], t: 5e-324})",
    );
    expect(execution.status).toBe("completed");
    expect(JSON.stringify(execution.result)).toContain("[REDACTED...wxyz]");
    expect(bodies.at(-1)).toContain("5e-324");
    expect(bodies.at(-1)).toContain("1.0");
  });

  it("a secret does not leave in an exception", async () => {
    const execution = await run(
      "raise RuntimeError(settings.get('TOKEN') + settings.get('QUOTED') + settings.get('KEY'))",
    );
    expect(execution).toMatchObject({ status: "error", end_reason: "script_error" });
    expect(execution.error).toContain("RuntimeError: [REDACTED...wxyz]");
  });

  it("a secret does not leave in a prompt or a model's name", async () => {
    const id = await rest.submit({
      code: "llm.complete('use ' + settings.get('TOKEN'), model=settings.get('QUOTED'))",
    });
    const execution = await rest.settled(id);
    bodies.push(execution.json);
    expect(execution.llm_request?.prompt).toBe("use [REDACTED...wxyz]");
    await rest.cancel(id);
  });

  it("a secret does not leave in memory updates", async () => {
    const execution = await run(
      "memory.set('keys', settings.get('TOKEN'), settings.get('QUOTED')); memory.set(settings.get('TOKEN'), 'n', 1.50)",
    );
    expect(JSON.stringify(execution.memory_updates)).toContain("[REDACTED...wxyz]");
  });

  it("a secret does not leave by an exit message", async () => {
    const execution = await run("import sys; sys.exit(settings.get('TOKEN'))");
    expect(execution).toMatchObject({
      end_reason: "exit_nonzero",
      error: expect.stringContaining("[REDACTED...wxyz]"),
    });
  });

  it("a secret does not leave at the edge of an output that is cut", async () => {
    const limit = Math.round(0.001 * 2 ** 20);
    const before = limit - 6;
    const code = `import os\nos.write(1, b"x" * ${before} + settings.get("TOKEN").encode())`;
    const execution = await rest.run({ project: "brief", code });
    expect(execution).toMatchObject({ status: "completed", stdout: "x".repeat(before) });
    expect(execution.truncated.stdout).toBe(TOKEN.length);
  });

  it("a secret does not leave at the edge of an output that is killed", async () => {
    await run("import os, time\nos.write(1, settings.get('TOKEN')[:-1].encode())\nos.kill(os.getpid(), 9)");
    expect(bodies.at(-1)).not.toContain(TOKEN.slice(0, 12));
  });

  it("a secret is counted for operators by name and field, and not in what agents poll", async () => {
    const code = `
import sys
t, q = settings.get('TOKEN'), settings.get('QUOTED')
print(t, t, q)
print(t, file=sys.stderr)
llm.complete('use ' + q)
memory.set('a', 'b', t)
set_result({'v': [t, t], t: 1, 'n': 2})
`;
    const id = await rest.submit({ code });
    const redactions = async () =>
      ((await (await fetch(`${rest.url}/executions/${id}/redactions`)).json()) as { redactions: object[] })
        .redactions;
    await rest.settled(id);
    expect(await redactions()).toEqual([{ secret: "QUOTED", field: "llm_prompt", count: 1 }]);
    await rest.respond(id, "thanks");
    expect(JSON.stringify(await rest.settled(id))).not.toMatch(/QUOTED|"count"/);
    expect(await redactions()).toEqual([
      { secret: "QUOTED", field: "llm_prompt", count: 1 },
      { secret: "QUOTED", field: "stdout", count: 1 },
      { secret: "TOKEN", field: "memory_updates", count: 1 },
      { secret: "TOKEN", field: "result", count: 3 },
      { secret: "TOKEN", field: "stderr", count: 1 },
      { secret: "TOKEN", field: "stdout", count: 2 },
    ]);
  });

  it("a credential that is not one of the project's secrets does not leave either, if its form is known", async () => {
    const token = `ghp_${"a1B2".repeat(9)}`;
    const shown = "[REDACTED...a1B2]";
    const code = `
import sys
t = "ghp_" + "a1B2" * 9
print("# secretlint-disable", t)
print({"token": t}, file=sys.stderr)
llm.complete("what is " + t)
memory.set("m", t, 1.0)
set_result({t: [1.0, 2**70, "postgres://app:" + t + "@db.example"]})
`;
    const id = await rest.submit({ code, project: "other" });
    expect((await rest.settled(id)).llm_request?.prompt).toBe(`what is ${shown}`);
    await rest.respond(id, "thanks");
    const body = await rest.settledText(id);
    expect(body).not.toContain(token);
    expect(body).toContain(
      `"result":{"${shown}":[1.0,1180591620717411303424,"postgres://app:${shown}@db.example"]}`,
    );
    expect(JSON.parse(body)).toMatchObject({
      status: "completed",
      stdout: `# secretlint-disable ${shown}\n`,
      stderr: `{'token': '${shown}'}\n`,
      memory_updates: { m: { [shown]: 1 } },
    });
    const { redactions } = (await (await fetch(`${rest.url}/executions/${id}/redactions`)).json()) as {
      redactions: object[];
    };
    const secret = "unknown:github";
    expect(redactions).toEqual([
      { secret, field: "llm_prompt", count: 1 },
      { secret, field: "memory_updates", count: 1 },
      { secret, field: "result", count: 2 },
      { secret, field: "stderr", count: 1 },
      { secret, field: "stdout", count: 1 },
    ]);
    const failed = await rest.run({ project: "other", code: `raise ValueError("${token}")` });
    expect(failed).toMatchObject({ status: "error", end_reason: "script_error" });
    expect(failed.error).toContain(`ValueError: ${shown}`);
  });

  it("a secret of one project is an ordinary text in another, because redaction there would be an oracle", async () => {
    const execution = await rest.run({ project: "other", code: `print("${SHARED}")` });
    expect(execution.stdout).toBe(`${SHARED}\n`);
    expect((await run(`print("${SHARED}")`)).stdout).toBe("[REDACTED...ects]\n");
  });

  it("a secret that cannot be resolved keeps scripts from being accepted, and the error names it", async () => {
    const answer = await rest.post("/execute", { project: "unset", code: "print(1)" });
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({
      code: "project_invalid",
      detail: expect.stringContaining("MISSING"),
    });
  });

  it("a secret is in no response, log line or file", async () => {
    expect(bodies.length).toBeGreaterThan(8);
    for (const body of bodies) expectClean(body);
    expectClean(airlock.output());
    const files = await readdir(airlock.dataDirectory, { recursive: true, withFileTypes: true });
    // The environments hold Python packages only.
    const own = files.filter((file) => file.isFile() && !file.parentPath.includes("environments"));
    expect(own.map((file) => file.name)).toContain("airlock.log");
    for (const file of own) {
      const bytes = await readFile(join(file.parentPath, file.name));
      for (const secret of SECRETS) {
        for (const spelling of spellings(secret)) expect(bytes.includes(spelling)).toBe(false);
      }
    }
  });
});
