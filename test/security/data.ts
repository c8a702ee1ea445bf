import { type HostileCase, hostile } from "./cases.ts";

/** Scripts that answer with what is no answer. */
export const DATA: readonly HostileCase[] = [
  ...[
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
  ].map((value) => hostile(`the result ${value}`, "result_invalid", `set_result(${value})`)),
  hostile("a lone surrogate", ["result_invalid", "completed"], "set_result('\\ud800')"),
  hostile("a cycle", "result_invalid", "x = []; x.append(x); set_result(x)"),
  hostile(
    "depth",
    ["result_invalid", "script_error"],
    "x = []\nfor _ in range(100_000): x = [x]\nset_result(x)",
  ),
  hostile(
    "a huge integer",
    ["completed", "result_too_large", "result_invalid"],
    "import sys; sys.set_int_max_str_digits(0); set_result(10**200_000)",
  ),
  hostile("a result over the limit", "result_too_large", "set_result('x' * 3_000_000)"),
  hostile(
    "__reduce__ is never called",
    "result_invalid",
    "class E:\n    def __reduce__(self): print('called'); return (print, ('called',))\nset_result(E())",
  ),
  hostile(
    "keys that become one",
    ["completed", "result_invalid", "script_error"],
    "set_result({1: 'a', '1': 'b'})",
  ),
  hostile(
    "a string that lies about itself",
    ["completed", "result_invalid", "script_error"],
    "class S(str):\n    def __str__(self): raise SystemExit(9)\nset_result(S('x'))",
  ),
  hostile(
    "a dict that changes while it is read",
    ["completed", "result_invalid", "script_error"],
    "class D(dict):\n    def items(self):\n        self['x'] = 1; return super().items()\nset_result(D(a=1))",
  ),
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
];
