import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { runInTerminal } from "../../harness/terminal.ts";

// Sets the window's title, clears the screen, C1 and a change of direction: what a terminal or its reader would obey.
const EVIL = "\u001b]0;owned\u0007\u001b[2J\u009b31m\u202eesrever\u2066";
const SHOWN = "\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{9b}31m\\u{202e}esrever\\u{2066}";
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

let airlock: TestAirlock;
let env: Record<string, string>;

beforeAll(async () => {
  airlock = await startAirlock({
    projects: { demo: `description: ${JSON.stringify(`Monthly ${EVIL}`)}\n` },
  });
  env = { AIRLOCK_URL: airlock.url };
});
afterAll(async () => {
  await airlock.remove();
});

/** The output without the line that names the execution. */
const withoutId = (text: string) => text.replace(/^\(execution [0-9a-f-]{36}\)\n/, "");

async function script(code: string, before = ""): Promise<string[]> {
  const file = join(airlock.directory, "script.py");
  await writeFile(file, `${before}evil = ${JSON.stringify(EVIL)}\n${code}`);
  return ["run", file, "--project", "demo"];
}

describe("text on a terminal does not control it", () => {
  it("the output of a script does not control a terminal; only tabs and carriage returns pass", async () => {
    const args = await script(
      "import sys\nprint('a\\tb' + evil)\nprint(evil, file=sys.stderr)\nprint('1%\\r2%')\n",
    );
    const { status, text } = await runInTerminal(args, env);
    expect([status, text]).toEqual([0, expect.stringContaining(`a\tb${SHOWN}\n`)]);
    expect(text).toContain("1%\r2%\n");
    expect(text.replace("1%\r2%", "")).not.toMatch(CONTROLS);
    const piped = await runAirlock(args, { env });
    const { stdout, stderr } = piped;
    expect([stdout, withoutId(stderr)]).toEqual([`a\tb${EVIL}\n1%\r2%\n`, `${EVIL}\n`]);
  });

  it("an llm request and the name of a model do not control a terminal", async () => {
    const args = await script("print(llm.complete('one\\n' + evil + '\\rtwo', model='m\\r' + evil))");
    const { text } = await runInTerminal(args, env, "yes\n");
    expect(text).toContain(`one\n${SHOWN}\\u{d}two\n[m\\u{d}${SHOWN}] answer> `);
    expect(text).not.toMatch(CONTROLS);
  });

  it("an error does not control a terminal", async () => {
    const { status, text } = await runInTerminal(await script("raise ValueError('\\r' + evil)"), env);
    expect([status, text]).toEqual([1, expect.stringContaining(`ValueError: \\u{d}${SHOWN}`)]);
    expect(text).not.toMatch(CONTROLS);
  });

  it("a result does not control a terminal, and stays JSON of the same value", async () => {
    const args = await script("set_result(evil)");
    for (const json of [[], ["--json"]]) {
      const { text } = await runInTerminal([...args, ...json], env);
      expect(text).not.toMatch(CONTROLS);
      const value = JSON.parse(withoutId(text));
      expect(json.length > 0 ? value.result : value).toBe(EVIL);
    }
    expect((await runAirlock(args, { env })).stdout).toContain("\u009b31m\u202e");
  });

  it("the list of projects and refusals do not control a terminal", async () => {
    const { text } = await runInTerminal(["projects"], env);
    expect(text).toContain(`Monthly ${SHOWN}`);
    expect(text).not.toMatch(CONTROLS);
    const missing = await runInTerminal([`${EVIL}`], env);
    expect([missing.status, missing.text]).toEqual([
      2,
      expect.stringContaining(`There is no command "${SHOWN}"`),
    ]);
    expect(missing.text).not.toMatch(CONTROLS);
  });

  it.each([
    ["is no JSON", `${EVIL}{`, "answered with something else than JSON"],
    ["looks like a refusal", JSON.stringify({ code: EVIL, detail: `Refused: ${EVIL}` }), `Refused: ${SHOWN}`],
  ])(
    "an answer of a server other than Airlock does not control a terminal: it %s",
    async (_what, body, told) => {
      const status = body.startsWith("{") ? 400 : 200;
      const server = createServer((_request, response) => response.writeHead(status).end(body));
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as AddressInfo;
      const shown = await runInTerminal(["projects"], { AIRLOCK_URL: `http://127.0.0.1:${port}` });
      server.close();
      expect([shown.status, shown.text]).toEqual([1, expect.stringContaining(told)]);
      expect(shown.text).not.toMatch(CONTROLS);
    },
  );
});

it("./airlock run accepts a script that begins with a byte order mark", async () => {
  const { stdout, stderr } = await runAirlock(await script("print('read')", "\ufeff"), { env });
  expect([stdout, withoutId(stderr)]).toEqual(["read\n", ""]);
});

it("./airlock run - asks on the terminal, because its standard input is the script", async () => {
  const args = ["run", "-", "--project", "demo"];
  const { status, text } = await runInTerminal(
    args,
    env,
    "eu-north\n",
    "print('in', llm.complete('Which region?'))",
  );
  expect([status, text]).toEqual([0, expect.stringContaining("Which region?")]);
  expect(text).toContain("in eu-north\n");
});
