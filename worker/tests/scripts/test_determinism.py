"""Same code, same settings, same memory: the same bytes, on every worker and after every restart."""

from __future__ import annotations

import sys

from airlock_worker.child.determinism import seed_of

from ..harness import Worker, worker

CODE = """
import random, sys, os
import numpy
class Thing: pass
things = {Thing(), Thing(), Thing()}
names = {"alpha", "beta", "gamma", "delta", None, 1.5, (1, "x")}
set_result({
    "set": [repr(name) for name in names],
    "things": [hash(thing) for thing in things],
    "hash": [hash("text"), hash((1, "x")), hash(None), hash(len)],
    "random": [random.random() for _ in range(3)],
    "numpy": numpy.random.rand(3),
    "ids": [id(object()) == id(object()), os.getcwd()],
    "time zone": __import__("time").tzname,
    "encoding": sys.getfilesystemencoding(),
})
"""


async def test_twenty_runs_over_several_workers_and_restarts_are_identical() -> None:
    results = []
    for preload in ((), ("--import", "numpy"), ("--import-of", "numpy"), ()):
        async with worker(*preload) as target:
            results += [await target.run(CODE, settings={"S": "1"}, memory='{"a":{"b":1}}') for _ in range(5)]
    assert {one.end for one in results} == {"completed"}, results[0]
    assert len(results) == 20
    assert len({one.result for one in results[:5] + results[15:]}) == 1
    # What was imported ahead moves objects about; numbers and seeds stay the same all the same.
    for name in ("random", "numpy"):
        assert len({str(one.value[name]) for one in results}) == 1
    assert len({one.result for one in results[5:10]}) == len({one.result for one in results[10:15]}) == 1


async def test_code_settings_and_memory_each_change_the_numbers(shared: Worker) -> None:
    code = "import random; set_result(random.random())"
    runs = [
        await shared.run(code),
        await shared.run(code + " "),
        await shared.run(code, settings={"A": "1"}),
        await shared.run(code, settings={"A": "2"}),
        await shared.run(code, memory='{"a": {}}'),
    ]
    assert len({one.result for one in runs}) == 5
    assert (await shared.run(code)).result == runs[0].result


async def test_what_should_be_random_is() -> None:
    code = """
import os, random, secrets, uuid
set_result([os.urandom(8).hex(), secrets.token_hex(), str(uuid.uuid4()), random.SystemRandom().random()])
"""
    async with worker("--import", "uuid", "--import", "secrets") as target:
        values = [(await target.run(code)).value for _ in range(4)]
        for column in zip(*values, strict=True):
            assert len(set(column)) == 4


async def test_the_same_memory_gives_the_same_numbers_however_it_is_written() -> None:
    written = [
        '{"c":{"k":"é","n":1.0},"d":{}}',
        '{"d": {}, "c": {"n": 1.00, "k": "\\u00e9"}}',
        '{ "c" : { "n" : 1e0 , "k" : "é" } , "d" : { } }',
    ]
    async with worker() as target:
        code = "import random; set_result(random.random())"
        numbers = [(await target.run(code, memory=memory)).value for memory in written]
        assert len(set(numbers)) == 1
        assert (await target.run(code, memory='{"c":{"k":"e","n":1.0},"d":{}}')).value != numbers[0]
        assert (await target.run(code, memory="{}")).value == (await target.run(code)).value


def test_seeds_are_framed() -> None:
    seeds = [
        seed_of("ab", {}, ""),
        seed_of("a", {}, "b"),
        seed_of("", {"a": "b"}, ""),
        seed_of("", {"ab": ""}, ""),
        seed_of("", {"a": "", "b": ""}, ""),
        seed_of("ab", {"x": ""}, ""),
    ]
    assert len(set(seeds)) == len(seeds)
    assert seed_of("a", {"x": "1", "y": "2"}, "") == seed_of("a", {"y": "2", "x": "1"}, "{}")


async def test_packages_are_imported_before_the_run() -> None:
    async with worker("--import-of", "numpy", "--import", "csv") as target:
        ended = await target.run(
            "import sys; set_result([m in sys.modules for m in ('numpy', 'numpy.random', 'csv', 'grpc')])"
        )
        assert ended.value == [True, True, True, False]


async def test_a_failed_import_is_told_in_the_packages_own_words() -> None:
    async with worker("--import", "no_such_package", ready=False) as target:
        status = None
        watch = target.watch()
        while status is None or status.state == 1:
            status = await watch.read()
        assert status.state == 4
        assert "import of no_such_package failed" in status.detail
        assert "ModuleNotFoundError: No module named 'no_such_package'" in status.detail
        assert target.process.returncode is None


async def test_a_missing_interpreter_is_told() -> None:
    async with worker(ready=False, python=sys.executable + "-none") as target:
        watch = target.watch()
        status = await watch.read()
        assert status.state == 4 and "cannot be started" in status.detail


async def test_an_interpreter_that_crashes_on_import_is_told() -> None:
    async with worker("--import", "test.no", "--import-of", "none", ready=False, python="/bin/false") as target:
        watch = target.watch()
        status = None
        while status is None or status.state == 1:
            status = await watch.read()
        assert status.state == 4 and "exit status 1" in status.detail
