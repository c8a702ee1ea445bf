"""What follows addresses, such as the order of a set of objects, is the same in every run of every worker.

`AIRLOCK_DETERMINISM_ROUNDS=20` makes some 2,000 runs of it.
"""

from __future__ import annotations

import asyncio
import compileall
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from airlock_worker.supervisor.messages import DEFAULT_DESCRIPTORS
from airlock_worker.zygote.entrance import STANDARD_LIBRARY

from ..conftest import SETTINGS
from ..harness import WORKER_ROOT, Ended, Worker, worker
from ..same_numbers import SCRIPTS

ROUNDS = int(os.environ.get("AIRLOCK_DETERMINISM_ROUNDS", "1"))
AT_ONCE = 24
SECRETS = {"TOKEN": "a-token-of-this-project"}

# What the next objects of each size, and the next large ones, will have for addresses.
NEXT_PLACES = """
import ctypes
blocks, places = ctypes.pythonapi.PyObject_Malloc, ctypes.CDLL(None).malloc
for allocate in (blocks, places): allocate.argtypes, allocate.restype = [ctypes.c_size_t], ctypes.c_size_t
set_result([[blocks(size) for _ in range(6)] for size in range(16, 513, 16)]
    + [[places(size) for _ in range(6)] for size in (300_000, 2000, 1024, 800, 300, 24)])
"""


async def _run(target: Worker, code: str) -> Ended:
    return await target.run(code, ["the answer"], timeout_ms=60_000, settings={"A": "x"}, memory='{"x":{"y":[1]}}')


async def _all(target: Worker, found: dict[str, list[Ended]]) -> None:
    """Each script alone, as one of the first that the worker runs, and then all of them, 24 at once."""
    for name, code in SCRIPTS.items():
        found[name].append(await _run(target, code))
    names = [*SCRIPTS] * 4 * ROUNDS
    while names:
        few = [names.pop() for _ in range(min(AT_ONCE, len(names)))]
        for name, ended in zip(few, await asyncio.gather(*(_run(target, SCRIPTS[name]) for name in few)), strict=True):
            found[name].append(ended)


async def test_alone_and_24_at_once_on_two_workers() -> None:
    found: dict[str, list[Ended]] = defaultdict(list)
    for _ in range(2):
        async with worker(secrets=SECRETS) as target:
            await _all(target, found)
    for name, endings in found.items():
        assert len(endings) == 2 * (1 + 4 * ROUNDS)
        assert {ended.end for ended in endings} == {"completed"}, (name, endings[0].error)
        assert len({ended.result for ended in endings}) == 1, name


async def test_with_packages() -> None:
    code = """
import numpy, pandas
frame = pandas.DataFrame({"a": range(3000), "b": [str(n % 7) for n in range(3000)]})
sums = frame.groupby("b").a.sum()
things = pandas.Series([object() for _ in range(30)])
arrays = [numpy.zeros(n) for n in (10, 1000, 20_000, 1_000_000)]
set_result([[hash(each) for each in {*things, *(type(f"K{n}", (), {}) for n in range(20)), sums.__class__}],
    [id(each) for each in arrays], [each.ctypes.data for each in arrays]])
"""
    results = []
    for _ in range(2):
        async with worker("--import-of", "pandas") as target:
            results.append((await target.run(code)).result)
            results += [ended.result for ended in await asyncio.gather(*(target.run(code) for _ in range(8)))]
    assert results[0] is not None and len(set(results)) == 1


# What the cache of attributes holds alone is freed in the middle of the imports, by a name that pushes it out.
IMPORTS_OF_PACKAGES = """
import json, asyncio, urllib.request, pandas, numpy
class Row:
    __slots__ = ("name", "amount", "month")
    def __init__(self, name, amount, month): self.name, self.amount, self.month = name, amount, month
rows = {Row(f"r{n}", n, n % 12) for n in range(300)}
set_result([sum(1 / (row.amount + 1) for row in rows), [id(row) for row in rows]])
"""


FEW_IMPORTS = "import json, asyncio, urllib.request\n" + IMPORTS_OF_PACKAGES.partition("\n")[2].partition("\n")[2]


async def test_imports_after_packages_are_the_same_in_forty_runs() -> None:
    async with worker("--import-of", "pandas") as target:
        results = [(await target.run(IMPORTS_OF_PACKAGES)).result for _ in range(40)]
    assert results[0] is not None and len(set(results)) == 1


async def test_the_next_addresses_do_not_depend_on_the_worker_and_its_past() -> None:
    results: list[str | None] = []
    for token in ("short-one", "a-token-of-this-project", "a long one " * 40):
        async with worker(secrets={"TOKEN": token}) as target:
            results += [(await target.run(NEXT_PLACES)).result for _ in range(3)]
            paused = [await target.start("llm.complete('q')", timeout_ms=60_000) for _ in range(6)]
            questions = [await call.until_question() for call in paused]
            results += [(await target.run(NEXT_PLACES)).result for _ in range(30)]
            for call, question in zip(paused, questions, strict=True):
                await call.answer(question.id, "answer")
                assert (await call.finish()).end == "completed"
            results += [ended.result for ended in await asyncio.gather(*(target.run(NEXT_PLACES) for _ in range(8)))]
    assert results[0] is not None and len(set(results)) == 1


STANDARD_CLASSES = """
import argparse, collections, enum, json, random, socket, threading
kinds = {json.JSONDecoder, json.JSONEncoder, socket.socket, threading.Thread, enum.Enum, collections.Counter,
    argparse.ArgumentParser, random.Random}
set_result([[kind.__name__ for kind in kinds], [hash(kind) for kind in kinds], id(json.dumps), id(object())])
"""


# Both free what the zygote has made.
ENUMERATIONS = """
import dataclasses, enum
class Kind(enum.Enum): A = 1; B = 2
class Flag(enum.IntFlag): X = 1; Y = 2
@dataclasses.dataclass(eq=False)
class Row: kind: Kind; amount: float = 1 / 3
rows = {Row(kind, n / 7) for n in range(40) for kind in Kind}
set_result([sum(row.amount for row in rows), [hash(each) for each in (Kind, Flag, Row, Kind.A, Row(Kind.A), object())]])
"""


def _copied_to(directory: Path) -> Path:
    package = directory / "airlock_worker"
    shutil.copytree(WORKER_ROOT / "airlock_worker", package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


async def _results_below(directory: Path, scripts: Mapping[str, str]) -> dict[str, str | None]:
    """Of a worker whose package lies there."""
    arguments = ("--descriptors", str(DEFAULT_DESCRIPTORS))
    async with worker(*arguments, worker_root=directory, secrets=SECRETS, settings=SETTINGS) as target:
        results = {name: (await _run(target, code)).result for name, code in scripts.items()}
    assert None not in results.values(), results
    return results


async def test_addresses_do_not_depend_on_the_compiled_files_of_airlocks_modules(tmp_path: Path) -> None:
    scripts = {**SCRIPTS, "classes of the standard library": STANDARD_CLASSES, "enumerations": ENUMERATIONS}
    compiled, written, never = (tmp_path / name for name in ("compiled", "written", "never_"))
    for directory in (compiled, written, never):
        package = _copied_to(directory)
    # A file in its place in each folder, so that none is ever written.
    for folder in (package, *(path for path in package.rglob("*") if path.is_dir())):
        (folder / "__pycache__").write_text("")
    assert compileall.compile_dir(compiled, quiet=1)
    # It frees what was there before it, which may lie elsewhere then (docs/decisions/0004).
    del scripts["what was there before, taken away"]
    expected = await _results_below(written, scripts)
    assert await _results_below(written, scripts) == expected
    assert await _results_below(never, scripts) == expected
    assert await _results_below(compiled, scripts) == expected


async def test_addresses_do_not_depend_on_what_the_zygote_asks_of_classes(tmp_path: Path) -> None:
    """As a user's zygote does it, which makes a user namespace, and not root's."""
    usual, asking = tmp_path / "usual", tmp_path / "asking"
    _copied_to(usual)
    zygote = _copied_to(asking) / "zygote" / "zygote.py"
    begins = "    order = entrance.enter()\n"
    assert zygote.read_text().count(begins) == 1
    asks = f"{begins}    [kind.mro for kind in (*OSError.__subclasses__(), *object.__subclasses__()[::3])]\n"
    zygote.write_text(zygote.read_text().replace(begins, asks))
    scripts = {name: SCRIPTS[name] for name in ("after imports", "after many imports")} | {"a few": FEW_IMPORTS}
    assert await _results_below(asking, scripts) == await _results_below(usual, scripts)


def test_the_standard_library_is_there_before_airlocks_first_module() -> None:
    code = (
        f"import {STANDARD_LIBRARY}; import sys; before = {{*sys.modules}}; import airlock_worker.zygote.zygote;"
        "print(*(name for name in {*sys.modules} - before if not name.startswith('airlock_worker')))"
    )
    environment = {"PYTHONPATH": str(WORKER_ROOT)}
    late = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert late.stdout.split() == []


# A script of some length: each of its lines is an object too.
LINES = "\n".join(f"# A line of {'x' * (n % 90)}, so that there are lines of every length." for n in range(200))
LONG_SCRIPT = (
    LINES
    + """
class Sale:
    __slots__ = ("shop", "day", "price", "tax")
    def __init__(self, shop, day):
        self.shop, self.day, self.price, self.tax = shop, day, 0.1 + day / 7 + shop / 3, 0.19
sales = {Sale(shop, day) for shop in range(5) for day in range(30)}
total = sum(sale.price * (1 + sale.tax) for sale in sales)
functions = {(lambda n=n: n) for n in range(60)}
"""
    + NEXT_PLACES.replace("set_result(", "set_result([total, [each() for each in functions]] + ")
)


@pytest.mark.parametrize("count", [1, 6, 40])
async def test_numbers_do_not_depend_on_secrets_of_any_length(count: int) -> None:
    results = {}
    for length in (6, 20, 36, 40, 64, 100, 250, 430, 470, 513, 3000, 20_000):
        secrets = {f"TOKEN_{n}": chr(97 + n % 26) * length for n in range(count)}
        async with worker(secrets=secrets) as target:
            results[length] = [(await target.run(LONG_SCRIPT)).result for _ in range(2)]
    seen = {each for few in results.values() for each in few}
    assert len(seen) == 1 and None not in seen, {length: len({*few}) for length, few in results.items()}


# Secrets leave the environment, so that programs which the script starts do not have them; then it grows.
SECRETS_DELETED = """
import os
for name in [name for name in os.environ if name.startswith("TOKEN_")]:
    del os.environ[name]
kinds = {type(f"K{n}", (), {}) for n in range(40)}
os.environ.update({f"NAME_{n}": "value" for n in range(200)})
later = {type(f"L{n}", (), {}) for n in range(40)}
set_result([[kind.__name__ for kind in kinds], [kind.__name__ for kind in later], id(object()), id(type("K", (), {}))])
"""


@pytest.mark.parametrize("count", [1, 40])
async def test_a_script_may_delete_secrets_of_any_length_from_its_environment(count: int) -> None:
    results = {}
    for length in (40, 900, 1300, 1700, 2300, 3300, 20_000):
        secrets = {f"TOKEN_{n}": chr(97 + n % 26) * length for n in range(count)}
        async with worker(secrets=secrets) as target:
            results[length] = (await target.run(SECRETS_DELETED)).result
    seen = set(results.values())
    assert len(seen) == 1 and None not in seen, {length: str(result)[:80] for length, result in results.items()}


@pytest.mark.parametrize(
    "wrapper",
    [("unshare", "--user", "--map-root-user"), ("setarch", "-R"), ("sh", "-c", 'ulimit -s unlimited; exec "$@"', "sh")],
    ids=["another user", "fixed addresses already", "a stack without limit"],
)
async def test_what_starts_the_worker_makes_no_difference(shared: Worker, wrapper: tuple[str, ...]) -> None:
    names = ["a sum over a set of objects", "a sum over a set of classes", "id, hash and repr", "after imports"]
    async with worker(wrapper=wrapper, secrets=SECRETS, settings=SETTINGS) as target:
        for name in names:
            ours, others = await _run(target, SCRIPTS[name]), await _run(shared, SCRIPTS[name])
            assert ours.result is not None and ours.result == others.result, name
