"""Scripts whose output, errors and exit status are those of the same interpreter without Airlock, byte for byte."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from airlock_worker.supervisor.zygote_link import CLEAN_ENVIRONMENT

from ..harness import INTERPRETERS, Ended, Worker, worker

_SUBINTERPRETERS = "try: import _interpreters as i\nexcept ImportError: import _xxsubinterpreters as i"
SCRIPTS = {
    # Output, wherever it waits.
    "two streams": "import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('no newline', end='')",
    "a second text stream": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint('x')",
    "another stream on descriptor 1": "import os\nos.fdopen(1, 'w', closefd=False).write('late')",
    "C's stdio": "import ctypes\nctypes.CDLL(None).printf(b'from C %d\\n', 7)",
    "a buffer before an error": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('x')\n1/0",
    "a buffer before an exit": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('x')\nsys.exit(2)",
    "atexit, in reverse": "import atexit\nfor n in range(3): atexit.register(print, n)\nprint('end')",
    "an open generator": "def g():\n    try: yield 1\n    finally: print('closed')\ng = g(); next(g)",
    "an object that is left": "class C:\n    def __del__(self): print('gone')\nc = C()\nprint('end')",
    "an exit stack that is left": "import contextlib\ns = contextlib.ExitStack(); s.callback(print, 'left')\ns.__enter__()",
    "a thread that prints last": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.1), print('t'))).start()\nprint('m')",
    "an object that is left and needs a module": "import math\nclass C:\n    def __del__(self): print(math.pi)\nc = C()",
    "names of streams": "import sys\nprint(sys.stdout.name, sys.stderr.name, sys.stdout.buffer.name, sys.__stderr__.buffer.raw.name, sys.stdout.mode)",
    "an object that is left beside a daemon thread": "import threading, time\nclass C:\n    def __del__(self): print('gone')\nc = C()\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    "a generator that is open beside a daemon thread": "import threading, time\ndef g():\n    try: yield 1\n    finally: print('closed', sum([1.5, 2.5]))\ng = g(); next(g)\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    "an object in a circle beside a daemon thread": "import threading, time\nclass C:\n    def __del__(self): print('gone')\nc = C(); c.me = c\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    "a subinterpreter that is left": f"{_SUBINTERPRETERS}\nk = i.create()\ni.run_string(k, 'print(1)')\nprint('main')",
    "a subinterpreter that a thread runs at the end": f"{_SUBINTERPRETERS}\nimport threading\nk = i.create()\nthreading.Thread(target=lambda: i.run_string(k, 'import time; time.sleep(.3); print(1)')).start()",
    "bytes that are no text": "import sys\nsys.stdout.buffer.write(bytes(range(256)))",
    "annotations of the module": "print('__annotations__' in globals())\nx: int = 1\nprint(list(__annotations__))",
    # Ends.
    "exit with a text": "import sys\nsys.exit('no such invoice')",
    "exit with 3": "raise SystemExit(3)",
    "exit with 256 + 4": "import sys\nsys.exit(260)",
    "exit with True": "import sys\nsys.exit(True)",
    "exit with an object": "import sys\nsys.exit(['a', 1])",
    "exits of forked processes": "import os, sys\nfor code in (3, 'text', 0, None, ['a', 1], True):\n    if os.fork() == 0: sys.exit(code)\n    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)",
    "os._exit": "import os\nprint('flushed', flush=True)\nos._exit(5)",
    "a signal": "import os\nos.kill(os.getpid(), 15)",
    "exit in a handler": "import sys\ntry: sys.exit(1)\nexcept SystemExit as e: print(e.code)",
    # Errors that are found when the script is compiled.
    "a caret on the last line": "x = 1\nx = = 2",
    "return outside": "x = 1\nreturn x",
    "yield outside": "yield 1\n",
    "await outside": "import asyncio\nx = await asyncio.sleep(0)",
    "an argument twice": "def f(a, b, a):\n    return a",
    "a late __future__": "x = 1\nfrom __future__ import annotations",
    "a global that is assigned before": "def f():\n    x = 1\n    global x",
    "break outside": "if True:\n    break",
    "an open bracket": "print((1, 2)\nx = 3",
    "an indent": "if True:\nprint(1)",
    "a string without an end": "x = 'abc\nprint(x)",
    "tabs and blanks": "if True:\n        x = 1\n\ty = 2",
    # Tracebacks.
    "carets without a final newline": "a = {'b': None}\nprint(a['b']['c'] + 1)",
    "carets under a part of a line": "def f(x):\n    return (x + 1) * (x / 0)\nf(3)\n",
    "Windows line ends": "x = 1\r\ndef f():\r\n    return x / 0\r\nf()\r\n",
    "a name misspelt": "total = 1\nprint(totl)",
    "a builtin misspelt": "pritn(1)",
    "a local misspelt": "def f(amount):\n    return amont + 1\nf(1)",
    "an attribute misspelt": "class Order:\n    amount = 1\nOrder().amonut",
    "a module's attribute misspelt": "import math\nmath.sqr(2)",
    "nothing like it": "print(xyzzy)",
    "a capital too much": "import datetime\ndatetime.DateTime",
    "from another": "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise ValueError('outer') from e",
    "while another": "try:\n    {}['k']\nexcept KeyError:\n    print(valu)",
    "a group": "raise ExceptionGroup('g', [ValueError(1), TypeError('two')])",
    "notes": "e = ValueError('v')\ne.add_note('first note')\nraise e",
    "a deep recursion": "def f(n): return f(n + 1)\nf(0)",
    "in a library": "import json\njson.loads('{')",
    "a class of the script's own": "class Broken(Exception): pass\nraise Broken('it', 1)",
    "a BaseException": "class End(BaseException): pass\nraise End",
    "an assertion": "x = 2\nassert x == 1, f'{x=}'",
    "several lines": "raise ValueError('one\\ntwo\\nthree')",
    "a str() that fails": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    "traceback.print_exc": "import traceback\ntry: 1/0\nexcept ZeroDivisionError: traceback.print_exc()",
    "a warning": "import warnings\nwarnings.warn('old')",
    # Hooks.
    "sys.excepthook": "import sys\nsys.excepthook = lambda kind, e, tb: print('hook', kind.__name__, e, tb.tb_lineno)\n1/0",
    "sys.excepthook that fails": "import sys\ndef hook(*a): raise KeyError('h')\nsys.excepthook = hook\n1/0",
    "sys.excepthook that exits": "import sys\nsys.excepthook = lambda *a: sys.exit(7)\n1/0",
    "sys.__excepthook__": "import sys\nsys.excepthook = lambda *a: (print('mine'), sys.__excepthook__(*a))\n1/0",
    "an error in a thread": "import threading\ndef work():\n    1/0\nt = threading.Thread(target=work); t.start(); t.join()",
    "an exit in a thread": "import sys, threading\nt = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()",
    "threading.excepthook": "import threading\nthreading.excepthook = lambda a: print(a.exc_type)\nthreading.Thread(target=lambda: 1/0).start()",
    "an error in __del__": "class C:\n    def __del__(self):\n        raise ValueError('d')\n    def __repr__(self): return 'C'\ndef f(): C()\nf()",
    "an error in atexit": "import atexit\n@atexit.register\ndef last():\n    raise ValueError('late')\nprint('end')",
}
# What runs in place of the error when the script's own hook has shown it: Airlock tells of the error all the same.
_SHOWN_BY_HOOK = {"sys.excepthook", "sys.excepthook that fails", "sys.__excepthook__"}
_STATUS = re.compile(r"exit status (\d+)[.:]")
# What differs by nature: addresses, and how deep a recursion comes on top of Airlock's own few calls.
_BY_NATURE = re.compile("0x[0-9a-f]+|(?<=repeated )[0-9]+")


@pytest_asyncio.fixture(scope="module", params=INTERPRETERS)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Worker, str]]:
    """A worker, and the interpreter that its scripts run in."""
    python = INTERPRETERS[request.param]
    async with worker(python=python) as target:
        yield target, python


async def _plain(python: str, code: str, directory: Path) -> tuple[bytes, str, int]:
    file = directory / "script.py"
    file.write_bytes(code.encode())
    process = await asyncio.create_subprocess_exec(
        *(python, "-s", str(file)),
        env={**CLEAN_ENVIRONMENT, "PYTHONIOENCODING": "utf-8:backslashreplace", "HOME": str(directory)},
        cwd=directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return out, _BY_NATURE.sub("", err.decode().replace(str(file), "script.py")), process.returncode


def _as_plain(name: str, ended: Ended) -> tuple[bytes, str, int]:
    """What Airlock tells, in the form in which an interpreter does."""
    err, error = ended.stderr.decode(), ended.error or ""
    match ended.end:
        case "completed":
            status = 0
        case "exit_nonzero":
            found = _STATUS.search(error)
            assert found is not None, error
            status = int(found[1])
            if text := error[found.end() :].strip():
                err += f"{text}\n"
        case "killed":
            assert error == "The script's process was killed by SIGTERM."
            status = -15
        case _:
            assert ended.end == "script_error", ended
            status = 1
            if name not in _SHOWN_BY_HOOK:
                err += f"{error}\n"
    return ended.stdout, _BY_NATURE.sub("", err), status


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_ends_as_without_airlock(pair: tuple[Worker, str], name: str, tmp_path: Path) -> None:
    target, python = pair
    code = SCRIPTS[name]
    plain = await _plain(python, code, tmp_path)
    assert _as_plain(name, await target.run(code)) == plain
