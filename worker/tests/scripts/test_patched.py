"""Whatever a script replaces or deletes, its result arrives and its ending is true."""

from __future__ import annotations

import ast
import asyncio
import builtins
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import airlock_worker

from ..harness import Ended, Worker

# All that runs in the child once a script may have begun.
CHILD_SIDE = (
    *(
        "child/script",
        "child/sdk",
        "child/script_ending",
        "child/last_output",
        "child/spawning",
        "child/hints",
        "child/display",
    ),
    *("child/suggestions", "child/long_texts", "child/encoding/encode", "child/encoding/keys", "child/encoding/tables"),
    *("child/encoding/time", "child/encoding/json_path", "child/encoding/plain_json", "interpreter/import_hooks"),
    *("sandbox/privileges", "wire/frames", "wire/error_text", "child/signals_heard"),
)
WHOLE_MODULES = (
    *("json", "json.encoder", "json.decoder", "json.scanner", "os", "posixpath", "time", "threading", "struct"),
    *("signal", "builtins", "io", "traceback", "linecache", "tokenize", "textwrap", "contextlib", "dataclasses"),
    *("datetime", "decimal", "enum", "math", "functools", "collections", "collections.abc", "types", "typing"),
    *("atexit", "resource", "random", "re", "codecs", "itertools", "operator", "copyreg", "gc", "inspect", "weakref"),
)

SETUP = """
import dataclasses, datetime, decimal, enum, sys
@dataclasses.dataclass
class Item:
    price: decimal.Decimal
    kind: dataclasses.InitVar[int] = 0
class Colour(enum.Enum):
    RED = 1
value = {"item": Item(decimal.Decimal("1.50")), "day": datetime.date(2024, 1, 31), "colour": Colour.RED,
    "long": datetime.timedelta(days=1), "set": {3, 1, 2}, "big": 2**70, "float": 0.1, "text": "é\\n", 7: [None, True]}
Division, Exit, Error = ZeroDivisionError, SystemExit, SystemError
def broken(*args, **kwargs):
    raise Error("a broken function was called")
"""
EXPECTED = (
    '{"item":{"price":"1.50"},"day":"2024-01-31","colour":1,"long":"P1DT0H0M0S","set":[1,2,3],'
    '"big":1180591620717411303424,"float":0.1,"text":"é\\n","7":[null,true]}'
)
ENDINGS = {
    "memory.set('a', 'b', value); set_result(value)": ("completed", None),
    "set_result(value)\nraise Division('mine')": ("script_error", "ZeroDivisionError: mine"),
    "raise Exit(3)": ("exit_nonzero", "exit status 3"),
    "set_result(1e999)": ("result_invalid", "result is infinite"),
    "set_result(['x' * 1_000_000] * 11)": ("result_too_large", "the limit is 10485760"),
    "llm.complete('q'); set_result(value)": ("completed", None),
}


def names_used() -> Iterator[tuple[str, str]]:
    """What the child-side modules take from builtins and from other modules, found by reading them."""
    package = Path(airlock_worker.__file__).parent
    for name in CHILD_SIDE:
        modules = {}
        for node in ast.walk(ast.parse((package / f"{name}.py").read_text())):
            match node:
                case ast.Import():
                    modules.update({alias.asname or alias.name: alias.name for alias in node.names})
                case ast.ImportFrom(module=str(module), level=0) if module not in ("__future__", "typing"):
                    yield from ((module, alias.name) for alias in node.names)
                case ast.Name(id=str(used)) if hasattr(builtins, used):
                    yield "builtins", used
                case ast.Attribute(value=ast.Name(id=str(module)), attr=attribute) if module in modules:
                    yield modules[module], attribute


USED = sorted({used for used in names_used() if hasattr(importlib.import_module(used[0]), used[1])})
FEW_AT_A_TIME = [USED[at : at + 8] for at in range(0, len(USED), 8)]


def judge(ended: Ended, code: str, end: str, words: str | None, what: object) -> None:
    assert ended.end == end, (what, code, ended.end, ended.error)
    if end == "completed":
        assert ended.result == EXPECTED, (what, code, ended.result)
        assert (ended.memory_updates is not None) == ("memory.set" in code), (what, code)
    else:
        assert words is not None and words in (ended.error or ""), (what, code, ended.error)
        assert "broken" not in (ended.error or ""), (what, ended.error)


async def judge_all(worker: Worker, what: object, patch: str) -> None:
    runs = [worker.run(f"{SETUP}\n{patch}\n{code}", answers=["yes"]) for code in ENDINGS]
    for ended, (code, (end, words)) in zip(await asyncio.gather(*runs), ENDINGS.items(), strict=True):
        judge(ended, code, end, words, what)


def test_the_names_were_found() -> None:
    assert {("builtins", "isinstance"), ("os", "write"), ("os", "getpid"), ("struct", "Struct")} <= set(USED)
    assert len(USED) > 60


@pytest.mark.parametrize("how", ["setattr(module, name, broken)", "delattr(module, name)"])
@pytest.mark.parametrize("used", FEW_AT_A_TIME, ids=lambda used: f"{used[0][0]} from {used[0][1]}")
async def test_each_name_that_airlock_uses_may_be_replaced(
    shared: Worker, used: list[tuple[str, str]], how: str
) -> None:
    for module, name in used:
        patch = f"import importlib; module = importlib.import_module({module!r}); name = {name!r}; {how}"
        await judge_all(shared, (module, name, how), patch)


ALL_OF_IT = """
import importlib
module, put, take = importlib.import_module({module!r}), setattr, delattr
for name in [name for name in vars(module) if name[:2] != "__" and name != "TextIOWrapper"]:
    try: {how}
    except (AttributeError, TypeError): pass
"""


@pytest.mark.parametrize("how", ["put(module, name, broken)", "take(module, name)"])
@pytest.mark.parametrize("module", WHOLE_MODULES)
async def test_whole_modules_may_be_replaced(shared: Worker, module: str, how: str) -> None:
    how = f"{how} if name not in ('AttributeError', 'TypeError', 'SystemError', 'vars') else None"
    await judge_all(shared, (module, how), ALL_OF_IT.format(module=module, how=how))


@pytest.mark.parametrize(
    "patch",
    [
        "sys.modules.clear()",
        "sys.modules = None",
        "sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None",
        "del sys.stdout, sys.stderr, sys.argv, sys.path, sys.meta_path, sys.excepthook, sys.unraisablehook",
        "sys.setrecursionlimit(60)",
        "import gc; gc.disable(); gc.callbacks.append(broken)",
        "import signal; signal.signal(signal.SIGALRM, broken)",
        "sys.excepthook = sys.unraisablehook = sys.displayhook = broken",
        # As orjson users do: bytes for text.
        "import json; json.dumps = lambda o, **k: b'{}'",
        'import json; json.dumps = lambda o, **k: \'{"end": "completed", "error": ""}\'',
        "import json; json.JSONEncoder.encode = json.JSONEncoder.iterencode = json.JSONEncoder.default = broken",
        "import os; os.getpid = lambda: 99",
        "import os; os.write = lambda fd, data: len(data)",
        "import time; time.time = time.monotonic = time.perf_counter = lambda: 0.0",
        # As freezegun does: in every module that has the class.
        "class Frozen(datetime.date): pass\n"
        "real = datetime.date\n"
        "for module in list(sys.modules.values()):\n"
        "    for name in [name for name, it in list(vars(module).items()) if it is real]:\n"
        "        setattr(module, name, Frozen)",
        # As gevent does.
        "import threading, _thread\n"
        "threading.Lock = threading.RLock = _thread.allocate_lock = _thread.start_new_thread = broken\n"
        "threading._shutdown = threading._after_fork = broken",
        "import atexit; atexit._run_exitfuncs = None; atexit.register(broken)",
    ],
)
async def test_usual_patches_change_nothing(shared: Worker, patch: str) -> None:
    await judge_all(shared, patch, patch)


@pytest.mark.parametrize(
    "code",
    [
        "class E(Exception):\n __class__ = SystemExit\n code = None\nraise E('mine')",
        "class E(Exception):\n def __eq__(self, other): return True\n __hash__ = None\n"
        "try: set_result(b'')\nexcept ValueError: pass\nset_result(1)\nraise E('mine')",
        "class E(Exception):\n def __eq__(self, other): 1/0\nraise E('mine')",
        "class M(type):\n __name__ = property(lambda c: 1/0)\n"
        "class E(Exception, metaclass=M):\n def __str__(self): raise SystemExit\nraise E('mine')",
        "class Code:\n def __eq__(self, other): return True\n def __ne__(self, other): return False\n"
        "raise SystemExit(Code())",
        "class E(SystemExit):\n code = property(lambda self: 1/0)\nraise E",
        "import sys\nsys.settrace(lambda *_: 1/0)\nraise ValueError('mine')",
        "import sys\nsys.addaudithook(lambda event, _: 1/0 if event != 'exec' else 0)\nraise ValueError('mine')",
        "import signal, time\nsignal.signal(signal.SIGALRM, lambda *_: 1/0)\n"
        "signal.setitimer(signal.ITIMER_REAL, .001, .001)\ntime.sleep(1)",
    ],
)
async def test_a_script_that_raises_is_never_completed_and_never_said_not_to_have_run(
    shared: Worker, code: str
) -> None:
    for _ in range(5):
        ended = await shared.run(code)
        assert ended.end in ("script_error", "exit_nonzero"), (code, ended)
        assert ended.error and "own descriptor" not in ended.error, ended.error


@pytest.mark.parametrize("module", ["script", "child", "script_ending", "hints", "display", "last_output"])
def test_an_exception_of_the_script_is_not_asked_for_its_class(module: str) -> None:
    """`isinstance` calls code of the script (`__class__`), which may raise."""
    source = (Path(airlock_worker.__file__).parent / "child" / f"{module}.py").read_text()
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert "isinstance" not in {func.id for func in called if isinstance(func, ast.Name)}
