import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({
    projects: {
      emoji: "secrets: {TOKEN: 😀😁-a-secret}\nlimits: {max_output_mb: 1}\n",
      demo: "replicas: 1\nlimits: {timeout: 30, max_output_mb: 1, max_result_mb: 1, memory_mb: 256}\n",
      broken: 'packages: ["airlock-no-such-package==99"]\n',
      programs: "programs: [sh, no-such-program]\n",
      invalid: "limits: {timeout: soon}\n",
      contained: "runtime: kata\n",
      strict: "isolation: gvisor\n",
    },
  });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
});

const CASES: [string, string, string, RegExp | null][] = [
  ["nothing at all happens", "pass", "completed", null],
  ["sys.exit()", "import sys; set_result(1); sys.exit()", "completed", null],
  [
    "an exception",
    "def f():\n    1/0\nf()",
    "script_error",
    /script\.py", line 2, in f\n.*1\/0.*ZeroDivisionError/s,
  ],
  ["a syntax error", "def (", "script_error", /SyntaxError/],
  ["a BaseException", "raise KeyboardInterrupt", "script_error", /KeyboardInterrupt/],
  ["sys.exit(3)", "import sys; sys.exit(3)", "exit_nonzero", /3/],
  ["sys.exit of a text", "import sys; sys.exit('no data today')", "exit_nonzero", /no data today/],
  ["os._exit(5)", "import os; os._exit(5)", "exit_nonzero", /5/],
  ["os._exit(0), which loses the result", "import os; set_result(1); os._exit(0)", "script_error", /_exit/],
  ["closed descriptors", "import os; os.closerange(0, 4096); os._exit(0)", "script_error", /.+/],
  ["a segmentation fault", "import ctypes; ctypes.string_at(0)", "killed", /SEGV/],
  ["SIGKILL from inside", "import os; os.kill(os.getpid(), 9)", "killed", /KILL/],
  [
    "a loop that catches everything",
    "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "timeout",
    /timeout/,
  ],
  [
    "ignored signals",
    "import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(100)",
    "timeout",
    /timeout/,
  ],
  ["too much memory", "x = bytearray(2**30)", "out_of_memory", /memory/i],
  ["a result that is no JSON", "set_result(object())", "result_invalid", /object/],
  [
    "a bad result whose exception is swallowed",
    "try:\n    set_result({'a': [1, float('inf')]})\nexcept Exception: pass",
    "result_invalid",
    /a.*1/,
  ],
  ["a result over the limit", "set_result('x' * 2_000_000)", "result_too_large", /1 MB|1 MiB|bytes/],
  [
    "a corrected result",
    "try:\n    set_result(float('nan'))\nexcept Exception:\n    set_result(1)",
    "completed",
    null,
  ],
  [
    "a fork bomb",
    "import os\nfor _ in range(40):\n    try:\n        os.fork()\n    except OSError: pass\n    if len(os.listdir('/proc')) > 2000: break\nimport time; time.sleep(100)",
    "timeout",
    /timeout/,
  ],
];

describe("an execution ends once, with its reason", () => {
  it.each(CASES)(
    "an execution ends once, with its reason, after %s",
    async (_, code, reason, error) => {
      const execution = await rest.run({ code, timeout: reason === "timeout" ? 2 : 20 });
      expect(execution.end_reason).toBe(reason);
      expect(execution.status).toBe(
        reason === "completed" ? "completed" : reason === "timeout" ? "timeout" : "error",
      );
      if (error) expect(execution.error).toMatch(error);
      else expect(execution.error).toBeNull();
      if (reason !== "completed") expect(execution).toMatchObject({ result: null, memory_updates: {} });
      // The next one is untouched.
      expect(await rest.run({ code: "print('next'); set_result(2)" })).toMatchObject({
        stdout: "next\n",
        result: 2,
      });
    },
    40_000,
  );

  it("an execution ends once, with its reason, after garbage on every descriptor", async () => {
    const code =
      "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'\\xff' + os.urandom(4095))\n    except OSError: pass\nset_result(1)";
    const execution = await rest.run({ code, timeout: 5 });
    expect(execution).toMatchObject({
      end_reason: "script_error",
      result: null,
      error: expect.stringContaining("Airlock's own descriptor"),
    });
    expect(await rest.run({ code: "set_result(2)" })).toMatchObject({ status: "completed", result: 2 });
  });

  it("an execution ends once after a flood of output, which is cut with its byte count", async () => {
    const code =
      "import sys\nfor _ in range(50): sys.stdout.write('x' * 100_000)\nsys.stderr.write('e' * 10)\nset_result(1)";
    const execution = await rest.run({ code, timeout: 20 });
    expect(execution).toMatchObject({ status: "completed", result: 1 });
    expect(execution.stdout.length + execution.truncated.stdout).toBe(5_000_000);
    expect(execution.stdout.length).toBe(1024 * 1024);
    expect(execution.truncated.stderr).toBe(0);
  });

  // The sanitizer holds back what may begin a secret, here each emoji at the cut.
  it.each([0, 1, 2, 3])(
    "output is cut between characters, %i bytes after the last whole one",
    async (shift) => {
      const code = `import sys\nfor out in (sys.stdout, sys.stderr): out.write("x" * ${shift} + "😀" * 300_000)`;
      const { stdout, stderr, truncated } = await rest.run({ project: "emoji", code });
      for (const [text, cut] of [
        [stdout, truncated.stdout],
        [stderr, truncated.stderr],
      ] as const) {
        expect(text).toMatch(/^x*(😀)+$/u);
        expect(Buffer.byteLength(text) + cut).toBe(shift + 1_200_000);
        expect(cut).toBeGreaterThan(0);
      }
    },
  );

  it("an execution ends once after a timeout, and keeps its output until then", async () => {
    const execution = await rest.run({ code: "print('so far', flush=True)\nwhile True: pass", timeout: 3 });
    expect(execution).toMatchObject({ status: "timeout", end_reason: "timeout", stdout: "so far\n" });
    expect(execution.execution_time_ms).toBeGreaterThanOrEqual(3_000);
  });

  it("an execution ends once after a cancellation, while it runs and while it waits", async () => {
    const running = await rest.submit({ code: "import time; print('up', flush=True); time.sleep(100)" });
    const waiting = await rest.submit({ code: "print(1)" });
    await expect.poll(async () => (await rest.get(running)).stdout).toBe("up\n");
    expect((await rest.get(waiting)).status).toBe("pending");
    expect(await rest.cancel(waiting)).toMatchObject({
      status: "error",
      end_reason: "cancelled",
      stdout: "",
    });
    expect(await rest.cancel(running)).toMatchObject({
      status: "error",
      end_reason: "cancelled",
      stdout: "up\n",
    });
    await expect(rest.cancel(running)).rejects.toMatchObject({ status: 409, code: "already_ended" });
    expect(await rest.run({ code: "set_result(2)" })).toMatchObject({ result: 2 });
  });

  it("a script that claims it was not started ends once, and becomes no dead letter to run again", async () => {
    const code = `
import json, os, struct
text = json.dumps({"end": "start_failed", "error": "The packages could not be installed: index unreachable"}).encode()
os.write(3, b"D" + struct.pack(">I", len(text)) + text)
os._exit(0)`;
    const execution = await rest.run({ code });
    expect(execution).toMatchObject({
      end_reason: "script_error",
      error: expect.stringContaining("Airlock's own descriptor"),
    });
    const letters = await (await fetch(`${airlock.url}/dead-letters`)).text();
    expect(letters).not.toContain(execution.execution_id);
  });

  it.each([
    ["json.dumps that gives bytes", "import json; json.dumps = lambda value, **options: b'{}'"],
    ["a process that has another id", "import os; os.getpid = lambda: 1"],
    ["no builtins", "import builtins; put = setattr\nfor name in dir(builtins): put(builtins, name, None)"],
  ])("an execution ends once after %s, which neither loses a result nor hides an error", async (_, patch) => {
    const failing = await rest.run({ code: `error = ValueError("mine")\n${patch}\nraise error` });
    expect(failing).toMatchObject({
      end_reason: "script_error",
      error: expect.stringMatching(/script\.py.*ValueError: mine/s),
    });
    expect(await rest.run({ code: `${patch}\nset_result({"a": [1.0]})` })).toMatchObject({
      status: "completed",
      result: { a: [1] },
    });
  });

  it.each(["fork", "spawn", "forkserver"])(
    "an execution ends once after a pool of processes made by %s",
    async (method) => {
      const code = `import multiprocessing
def square(n): return n * n
if __name__ == "__main__":
    with multiprocessing.get_context("${method}").Pool(2) as pool: set_result(pool.map(square, range(4)))`;
      expect(await rest.run({ code })).toMatchObject({
        status: "completed",
        result: [0, 1, 4, 9],
        stderr: "",
      });
    },
  );

  it("an execution ends once after a pool of processes that starts itself, with one error", async () => {
    const code =
      "import multiprocessing\nset_result(multiprocessing.get_context('spawn').Pool(2).map(abs, range(4)))";
    expect(await rest.run({ code, timeout: 25 })).toMatchObject({
      end_reason: "script_error",
      error: expect.stringContaining('under if __name__ == "__main__":'),
    });
  }, 40_000);

  it("an execution ends once, with the output that stood in a buffer of the script", async () => {
    const code = `import ctypes, io, os, sys
sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
print("a second wrapper")
file = os.fdopen(2, "w", closefd=False)
file.write("another stream")
raise SystemExit(2)`;
    expect(await rest.run({ code })).toMatchObject({
      end_reason: "exit_nonzero",
      stdout: "a second wrapper\n",
      stderr: "another stream",
    });
  });

  it("an execution ends once after packages cannot be installed, with the installer's own error", async () => {
    const execution = await rest.run({ project: "broken", code: "print(1)" });
    expect(execution).toMatchObject({ status: "error", end_reason: "start_failed" });
    expect(execution.error).toContain("airlock-no-such-package");
  }, 60_000);

  it("an execution ends once after programs are missing, with their names and the next step", async () => {
    const execution = await rest.run({ project: "programs", code: "print(1)" });
    expect(execution).toMatchObject({ status: "error", end_reason: "start_failed" });
    expect(execution.error).toContain(
      '"no-such-program" is not on the machine that the worker runs on: install it',
    );
    expect(await rest.project("programs")).toMatchObject({ programs: ["sh", "no-such-program"] });
    expect(await rest.project("demo")).toMatchObject({ programs: ["sh", "coreutils"] });
  }, 60_000);
});

describe("a project that requires something that is not available", () => {
  it.each([
    ["contained", "runtime: kata needs the docker driver"],
    ["strict", "isolation: gvisor needs the docker driver"],
  ])(
    "the project %s, which needs the docker driver, accepts nothing and gives the reason",
    async (project, reason) => {
      const response = await rest.post("/execute", { project, code: "print(1)" });
      expect(response.status).toBe(409);
      expect(await response.json()).toMatchObject({
        code: "project_invalid",
        detail: expect.stringContaining(reason),
      });
      expect((await rest.project(project)).problem).toContain(reason);
      expect(airlock.output()).toContain(reason);
    },
  );
});

describe("a project file with an error", () => {
  it("a project file with an error is named with file, line and field, and refuses executions", async () => {
    expect(airlock.output()).toContain('invalid.yaml:2: field "limits.timeout" must be a number');
    expect((await rest.project("invalid")).problem).toContain("invalid.yaml:2");
    const response = await rest.post("/execute", { project: "invalid", code: "1" });
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({
      code: "project_invalid",
      detail: expect.stringContaining("invalid.yaml:2"),
    });
  });
});
