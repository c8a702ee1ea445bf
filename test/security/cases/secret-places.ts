import { createHash } from "node:crypto";
import { expect } from "vitest";
import { keeps, nothingLeaks, TOKEN_MARKER } from "../harness/no-leak.ts";
import { type HostileCase, hostile, yields } from "./cases.ts";
import { leaksOf } from "./leaks.ts";
import { NEIGHBOURS, ROTATED } from "./planted.ts";

const SECRETS = { project: "secrets" } as const;
const HASH = "import hashlib; set_result(hashlib.sha256(settings.get('TOKEN').encode()).hexdigest())";
const [OLD, NEW] = ["[REDACTED...aaaa]", "[REDACTED...bbbb]"];

/** A script that ends with an uncaught exception or exit whose text contains a secret. */
const raises = (what: string, code: string, end = "script_error"): HostileCase =>
  hostile(`${what} with a secret`, end, `token = settings.get('TOKEN')\n${code}`, {
    project: "secrets",
    shows: { error: expect.stringContaining(TOKEN_MARKER) },
    afterwards: nothingLeaks,
  });

/** Python helpers that search the memory of the script's own process. */
export const LOOKS_FOR = `
import os
def halves_of(text): return text[:7].encode(), text[7:].encode()
def places():
    yield open('/proc/self/environ', 'rb').read()
    memory = open('/proc/self/mem', 'rb', 0)
    for line in open('/proc/self/maps'):
        first, last = (int(number, 16) for number in line.split()[0].split('-'))
        if line.split()[1][0] != 'r': continue
        try: memory.seek(first); yield memory.read(last - first)
        except (OSError, OverflowError, ValueError): pass
def times(first, second):
    """How often a text stands somewhere in memory that this script itself has only in halves."""
    count = 0
    for place in places():
        at = place.find(first)
        while at != -1:
            count += place.startswith(second, at + len(first)); at = place.find(first, at + 1)
    return count
`;

/** Scripts that write secrets to every kind of output, and look for secrets that they do not have. */
export const PLACES: readonly HostileCase[] = [
  raises("an exception", "raise RuntimeError(token)"),
  raises("an exception's arguments", "raise KeyError({token: (token, 1)})"),
  raises(
    "a chain of exceptions",
    "try: raise ValueError(token)\nexcept ValueError as e: raise KeyError(token) from e",
  ),
  raises("a group of exceptions", "raise ExceptionGroup(token, [ValueError(token), KeyError(token)])"),
  raises("an exception's notes", "e = ValueError('x'); e.add_note(token); raise e"),
  raises("a traceback's line", "exec(compile(f'raise ValueError(\"{token}\")', token, 'exec'))"),
  raises("an error of syntax", "exec(f'x = = {token!r}')"),
  raises("an exception's name", "raise type(token, (Exception,), {})('x')"),
  raises("an exit message", "raise SystemExit(token)", "exit_nonzero"),
  raises("a result that is none", "set_result({token: object()})", "result_invalid"),
  hostile(
    "a problem under a long key with a secret in it",
    "result_invalid",
    "set_result({'!' * 70 + settings.get('TOKEN'): {settings.get('TOKEN') * 8: object()}})",
    {
      project: "secrets",
      shows: { error: expect.stringContaining("result[a key of 91 characters][a key of 168 characters]") },
      afterwards: nothingLeaks,
    },
  ),
  keeps(
    "what threads, warnings and destructors say on standard error",
    `
import subprocess, sys, threading, warnings
token = settings.get('TOKEN')
def fail(): raise ValueError(token)
t = threading.Thread(target=fail, name=token); t.start(); t.join()
warnings.warn(token)
class E:
    def __del__(self): fail()
E()
print(token, file=sys.stderr)
subprocess.run(['sh', '-c', 'echo "$TOKEN" >&2; echo "$TOKEN"; env; exec 2>&1; sh -x -c "true $TOKEN"'])`,
    { stderr: expect.stringContaining(TOKEN_MARKER), stdout: expect.stringContaining(TOKEN_MARKER) },
  ),
  keeps(
    "a result with secrets as values, keys and parts of both",
    `
t, q = settings.get('TOKEN'), settings.get('QUOTED')
set_result({'v': [t, f'x{q}y', [[t]]], t: 5e-324, f'k{q}': {t: {q: 1.0}}, 'n': 2**63 + 1})`,
    { result: expect.objectContaining({ [TOKEN_MARKER]: 5e-324 }) },
  ),
  keeps(
    "secrets in memory updates",
    `
t, q = settings.get('TOKEN'), settings.get('QUOTED')
memory.set('keys', t, q); memory.set(t, 'n', [t]); memory.set(q, q, {q: t})`,
    { memory_updates: expect.objectContaining({ [TOKEN_MARKER]: { n: [TOKEN_MARKER] } }) },
  ),
  keeps(
    "secrets in a question",
    `set_result(llm.complete('use ' + settings.get('TOKEN') + settings.get('QUOTED'), model=settings.get('TOKEN')))`,
    {},
    {
      async meanwhile(_, { llm_request }) {
        expect(llm_request?.prompt).toMatch(/^use \[REDACTED\.\.\.wxyz\]\[REDACTED/);
        expect(llm_request?.model).toBe(TOKEN_MARKER);
        return "an answer";
      },
    },
  ),
  keeps(
    "a secret that is a number",
    `
n = int(settings.get('NUMBER'))
print(n, -n, [n], float(n), f'{n:+d}', n / 1)
memory.set('n', 'n', [n, -n, float(n)])
set_result({'n': n, 'negative': -n, 'float': float(n), 'in': [[n]], 'text': str(n), n: 'key', 'more': n * 10 ** 0, 'other': 12345})`,
    { result: expect.objectContaining({ other: 12345 }) },
  ),
  keeps(
    "a number that is spelled in another way",
    `
import os, struct
n = settings.get('NUMBER')
def frame(kind, text): return kind + struct.pack('>I', len(text)) + text
exponent = f'{n[0]}.{n[1:]}e{len(n) - 1}'
os.write(3, frame(b'R', f'[{n}.0, {n}e0, {n}0e-1, {exponent}, {exponent.upper()}, -{exponent}]'.encode()) + frame(b'D', b'{"end":"completed","error":""}'))
os._exit(0)`,
  ),
  keeps("settings shown whole", "print(settings, vars(settings), dir(settings)); print(settings.__dict__)"),
  yields(
    "another project's secret, which is nowhere in its memory",
    `${LOOKS_FOR}
own = settings.get('TOKEN').encode()
set_result([settings.get('NEIGHBOURS'), 'NEIGHBOURS' in os.environ, times(own[:7], own[7:]) > 0, times(b'${NEIGHBOURS.slice(0, 7)}', b'${NEIGHBOURS.slice(7)}')])`,
    [null, false, true, 0],
    SECRETS,
  ),
  hostile(
    "another project's secret, which would be told by its redaction",
    "completed",
    `
import os, sys
theirs = '${NEIGHBOURS}'
print(theirs); print(theirs, file=sys.stderr); memory.set(theirs, theirs, theirs); set_result({theirs: theirs})
llm.complete(theirs)`,
    {
      ...SECRETS,
      async meanwhile(_, { llm_request }) {
        expect(llm_request?.prompt).toBe(NEIGHBOURS);
        return "an answer";
      },
      shows: {
        stdout: `${NEIGHBOURS}\n`,
        stderr: `${NEIGHBOURS}\n`,
        result: { [NEIGHBOURS]: NEIGHBOURS },
        memory_updates: { [NEIGHBOURS]: { [NEIGHBOURS]: NEIGHBOURS } },
      },
    },
  ),
  hostile(
    "what it held in its memory, for the next run",
    "completed",
    "kept = ['planted-by-', 'the-run-before']; whole = ''.join(kept) * 1000",
    {
      ...SECRETS,
      async afterwards({ rest }) {
        const code = `${LOOKS_FOR}set_result(times(b'planted-by-', b'the-run-before'))`;
        expect((await rest.run({ ...SECRETS, code })).result).toBe(0);
      },
    },
  ),
  hostile(
    "a secret that is rotated while it runs",
    "completed",
    `
import time
old = settings.get('TOKEN')
llm.complete('rotate now')
time.sleep(1.2)
print(old, settings.get('TOKEN') == old, flush=True)
memory.set(old, old, [old])
set_result({old: old})`,
    {
      project: "rotating",
      async meanwhile({ rest, rotate }) {
        await rotate(ROTATED.after);
        await expect
          .poll(async () => (await rest.run({ project: "rotating", code: HASH })).result)
          .toBe(createHash("sha256").update(ROTATED.after).digest("hex"));
        return "done";
      },
      shows: {
        stdout: `${OLD} True\n`,
        memory_updates: { [OLD]: { [OLD]: [OLD] } },
        result: { [OLD]: OLD },
      },
      async afterwards({ rest, said }) {
        const next = await rest.run({ project: "rotating", code: "print(settings.get('TOKEN'))" });
        expect(next.stdout).toBe(`${NEW}\n`);
        expect(said.flatMap((text) => leaksOf(text, ROTATED))).toEqual([]);
      },
    },
  ),
];
