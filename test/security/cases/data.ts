import { expect } from "vitest";
import { type HostileCase, hostile, yields } from "./cases.ts";

/** A script that forges the frames of an ending, with the Python bytes `text` as its result. */
function forged(what: string, text: string): HostileCase {
  return hostile(
    `a forged result: ${what}`,
    "result_invalid",
    `
import os, struct
def frame(kind, text): return kind + struct.pack('>I', len(text)) + text
os.write(3, frame(b'R', ${text}) + frame(b'D', b'{"end":"completed","error":""}'))
os._exit(0)`,
    { shows: { result: null } },
  );
}

const NO_JSON = [
  "float('nan')",
  "float('inf')",
  "-float('inf')",
  "{'a': [float('nan')]}",
  "object()",
  "lambda: 0",
  "{1j: 1}",
  "b'\\xff'",
  "type",
  "iter([])",
  "'\\ud800'",
  "{'\\udfff': 1}",
];

/** Scripts whose results or memory updates are not valid JSON, or forged. */
export const DATA: readonly HostileCase[] = [
  ...NO_JSON.map((value) => hostile(`the result ${value}`, "result_invalid", `set_result(${value})`)),
  ...NO_JSON.map((value) =>
    hostile(`the memory ${value}`, "script_error", `memory.set('c', 'k', ${value})`, {
      shows: { memory_updates: {} },
    }),
  ),
  hostile("a prompt that is no text", "script_error", "llm.complete('\\ud800')"),
  hostile("a cycle", "result_invalid", "x = []; x.append(x); set_result(x)"),
  hostile("a cycle of many kinds", "result_invalid", "x = {}; y = (x,); x['y'] = [y]; set_result(y)"),
  hostile("depth", "result_invalid", "x = []\nfor _ in range(100_000): x = [x]\nset_result(x)"),
  hostile(
    "a huge integer",
    "completed",
    "import sys; sys.set_int_max_str_digits(0); set_result(10**200_000)",
  ),
  hostile("an integer that takes ages to write", "timeout", "set_result(1 << 50_000_000)"),
  hostile("a result over the limit", "result_too_large", "set_result('x' * 3_000_000)"),
  hostile(
    "__reduce__ is never called",
    "result_invalid",
    "class E:\n    def __reduce__(self): print('called'); return (print, ('called',))\nset_result(E())",
    { shows: { stdout: "" } },
  ),
  hostile("keys that become one", "result_invalid", "set_result({1: 'a', '1': 'b'})"),
  yields(
    "a string that lies about itself",
    "class S(str):\n    def __str__(self): raise SystemExit(9)\nset_result(S('x'))",
    "x",
  ),
  yields(
    "a number that lies about itself",
    "class I(int):\n    def __repr__(self): return 'NaN'\n    __str__ = __repr__\nset_result([I(7)])",
    [7],
  ),
  yields(
    "a dict that changes while it is read",
    "class D(dict):\n    def items(self):\n        self['x'] = 1; return super().items()\nset_result(D(a=1))",
    { a: 1, x: 1 },
  ),
  forged("NaN", "b'[NaN]'"),
  forged("an infinity", "b'[1e999, -Infinity]'"),
  forged("half a text", "b'[1'"),
  forged("two texts", "b'1 2'"),
  forged("a string of escapes without end", String.raw`b'"' + b'\\"' * 500_000`),
  forged("duplicate keys", `b'{"a":1,"a":2}'`),
  forged("keys that are one when they are read", String.raw`b'{"a":1,"\\u0061":2}'`),
  forged("depth", "b'[' * 100_000 + b']' * 100_000"),
  forged("a lone surrogate", String.raw`b'"\\ud800"'`),
  forged("bytes that are no UTF-8", String.raw`b'"\xff\xfe"'`),
  forged("a byte order mark", String.raw`b'\xef\xbb\xbf[]'`),
  forged("a control character", String.raw`b'"\x00"'`),
  forged("a number that Python reads and JSON does not", "b'[0x10, 1_0, 01]'"),
  hostile(
    "bytes that are no text on standard output",
    "completed",
    "import os; os.write(1, bytes(range(256)))",
  ),
  hostile(
    "an exception that cannot be printed",
    "script_error",
    "class E(Exception):\n    def __str__(self): raise E\nraise E",
  ),
  hostile(
    "an exception with a lone surrogate and a line of its own",
    "script_error",
    "raise ValueError('\\ud800\\x00\\x1b[2J\\r\\nfake: 1')",
    { shows: { error: expect.stringContaining("ValueError") } },
  ),
];
