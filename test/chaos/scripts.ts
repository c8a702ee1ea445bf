import type { Random } from "./random.ts";

/** A script, and its expected outcome when no fault disturbs it. */
export type Script = {
  readonly kind: string;
  readonly project: "demo" | "listed";
  readonly code: string;
  readonly timeout?: number;
  /** Expected output after the first line, which is `run` and a UUID that is new in each run. */
  readonly stdout: string;
  /** Whether the last line is `ran` and the UUID of the first, which shows a run that was begun again midway. */
  readonly signs: boolean;
  readonly endReason: string;
  /** The expected result, as JSON text of the response body. */
  readonly result: string;
  readonly error?: string;
  /** Bytes of stdout beyond the output limit; undefined means 0. */
  readonly truncated?: number;
};

export type ScriptWorld = {
  /** The marker that replaces TOKEN in output. */
  readonly marker: string;
  /** Port of the HTTP server that counts the calls of scripts. */
  readonly callLogPort: number;
};

export const MAX_OUTPUT_BYTES = 1024 * 1024;
const FIRST_LINE_BYTES = "run 00000000-0000-0000-0000-000000000000\n".length;
const HEAD =
  "import sys, time, uuid\nme = uuid.uuid4()\nprint('run', me, flush=True)\ntoken = settings.get('TOKEN')\n";
const SIGNATURE = "\nprint('ran', me)";

/** All kinds of scripts, the short ones more often. */
export const KINDS = [
  ...["quick", "quick", "quick", "quick", "long", "long", "paused", "paused", "twice"],
  ...["raises", "exits", "late", "flood", "overflow", "calls", "calls"],
] as const;

/** The script of the n-th execution, with its expected outcome. */
export function scriptOf(
  kind: (typeof KINDS)[number],
  n: number,
  random: Random,
  { marker, callLogPort }: ScriptWorld,
): Script {
  const of = (body: string, rest: Partial<Script>): Script => ({
    ...{ kind, project: "demo", code: `${HEAD}${body}`, stdout: "", signs: false },
    ...{ endReason: "completed", result: "null", ...rest },
  });
  const signed = (body: string, rest: Partial<Script>) => of(`${body}${SIGNATURE}`, { signs: true, ...rest });
  switch (kind) {
    case "quick":
      return signed(`print(token, ${n})\nset_result(${n} * 2**70)`, {
        stdout: `${marker} ${n}\n`,
        result: String(BigInt(n) * 2n ** 70n),
      });
    case "long": {
      const lines = random.integer(10, 50);
      // The script prints the secret in two halves, with time for a fault between them.
      const body = `
for line in range(${lines}):
    sys.stdout.write(f'{line} {token[:9]}')
    sys.stdout.flush()
    time.sleep(0.1)
    print(token[9:], flush=True)
    time.sleep(0.1)
set_result({'lines': ${lines}, 'token': token})`;
      const stdout = Array.from({ length: lines }, (_, line) => `${line} ${marker}\n`).join("");
      return signed(body, { stdout, result: `{"lines":${lines},"token":"${marker}"}` });
    }
    case "paused":
      return signed(`answer = llm.complete('question ${n} 1')\nprint(answer)\nset_result([answer, token])`, {
        stdout: `answer ${n} 1\n`,
        result: `["answer ${n} 1","${marker}"]`,
      });
    case "twice": {
      const body = `
first = llm.complete('question ${n} 1')
print(first, token, flush=True)
second = llm.complete('question ${n} 2')
print(second)
set_result(first + second)`;
      return signed(body, {
        stdout: `answer ${n} 1 ${marker}\nanswer ${n} 2\n`,
        result: `"answer ${n} 1answer ${n} 2"`,
      });
    }
    case "raises":
      return of(`print(token)\nraise ValueError(f'failed ${n} {token}')`, {
        stdout: `${marker}\n`,
        endReason: "script_error",
        error: `failed ${n} ${marker}`,
      });
    case "exits":
      return of(`print(token)\nsys.exit(3)`, { stdout: `${marker}\n`, endReason: "exit_nonzero" });
    case "late":
      return of("print('up', flush=True)\ntime.sleep(1000)", {
        stdout: "up\n",
        timeout: 5,
        endReason: "timeout",
      });
    case "flood": {
      const lines = random.integer(1_000, 4_000);
      const body = `for line in range(${lines}):\n    print(line, 'x' * 80, token)\nset_result(${lines})`;
      const stdout = Array.from({ length: lines }, (_, line) => `${line} ${"x".repeat(80)} ${marker}\n`);
      return signed(body, { stdout: stdout.join(""), result: String(lines) });
    }
    case "overflow": {
      // No form of a secret begins with `!`, so that redaction drops nothing at the cut.
      const stdout = "!".repeat(MAX_OUTPUT_BYTES - FIRST_LINE_BYTES);
      return of(`print('!' * 3_000_000, end='')\nset_result(${n})`, {
        stdout,
        result: String(n),
        truncated: 3_000_000 - stdout.length,
      });
    }
    case "calls": {
      // One call without a retry, because a killed egress service breaks the connection and the call log counts calls.
      const body = `
import urllib.request
try:
    with urllib.request.urlopen('http://127.0.0.1:${callLogPort}/${n}', timeout=60) as response:
        response.read()
except OSError:
    pass
time.sleep(${random.between(0, 1).toFixed(2)})
print(token)
set_result(${n})`;
      return signed(body, { project: "listed", stdout: `${marker}\n`, result: String(n) });
    }
  }
}
