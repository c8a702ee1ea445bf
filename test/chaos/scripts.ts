import type { Random } from "./random.ts";

/** A script, and all that is to come of it when nobody hinders it. */
export type Script = {
  readonly kind: string;
  readonly project: "demo" | "listed";
  readonly code: string;
  readonly timeout?: number;
  /** After the first line, which says `run` and a number that is new each time. */
  readonly stdout: string;
  /** The last line says `ran` and the same number, so that a run that was begun again midway is seen. */
  readonly signs: boolean;
  readonly endReason: string;
  /** JSON, as it stands in the body. */
  readonly result: string;
  readonly error?: string;
  /** Bytes of stdout that are over the limit. */
  readonly truncated?: number;
};

export type ScriptWorld = {
  /** What TOKEN looks like when it has left. */
  readonly marker: string;
  /** Where the ledger listens that counts who ran. */
  readonly ledgerPort: number;
};

export const MAX_OUTPUT_BYTES = 1024 * 1024;
const FIRST_LINE_BYTES = "run 00000000-0000-0000-0000-000000000000\n".length;
const HEAD =
  "import sys, time, uuid\nme = uuid.uuid4()\nprint('run', me, flush=True)\ntoken = settings.get('TOKEN')\n";
const SIGNATURE = "\nprint('ran', me)";

/** Every kind that there is, the short ones more often. */
export const KINDS = [
  ...["quick", "quick", "quick", "quick", "long", "long", "paused", "paused", "twice"],
  ...["raises", "exits", "late", "flood", "overflow", "calls", "calls"],
] as const;

/** What a caller of the n-th execution submits, which knows what it must come to. */
export function scriptOf(
  kind: (typeof KINDS)[number],
  n: number,
  random: Random,
  { marker, ledgerPort }: ScriptWorld,
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
      // The secret leaves the script in two halves, with time for somebody to die between them.
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
      // No form of a secret begins with it: what could be a beginning is dropped at a cut.
      const stdout = "!".repeat(MAX_OUTPUT_BYTES - FIRST_LINE_BYTES);
      return of(`print('!' * 3_000_000, end='')\nset_result(${n})`, {
        stdout,
        result: String(n),
        truncated: 3_000_000 - stdout.length,
      });
    }
    case "calls": {
      // Once only: an egress service that is killed breaks the connection, and that is no reason to ask again.
      const body = `
import urllib.request
try:
    with urllib.request.urlopen('http://127.0.0.1:${ledgerPort}/${n}', timeout=60) as response:
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
