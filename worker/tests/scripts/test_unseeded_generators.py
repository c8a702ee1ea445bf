"""Generators that a script makes without a seed draw the same numbers in every run, and never each other's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..harness import Worker, worker
from ..project_environment import project_python

UNSEEDED = """
import random
import numpy as np
from numpy.random import MT19937, PCG64, SFC64, Philox, Generator
class Mine(random.Random): pass
def numbers():
    again = random.Random(5); again.seed()
    return [
        random.Random().random(), random.Random(None).random(), Mine().random(), again.random(),
        np.random.default_rng().random(), np.random.default_rng(None).random(), np.random.RandomState().rand(),
        *(Generator(kind()).random() for kind in (MT19937, PCG64, SFC64, Philox)),
        np.random.SeedSequence().generate_state(1)[0], np.random.default_rng().spawn(1)[0].random(),
    ]
"""
USES = {
    "in the script": "set_result([*numbers(), *numbers()])",
    "global ones seeded without a seed": (
        "found = []\nfor _ in range(2):\n"
        "    random.seed(); np.random.seed(); found += [random.random(), np.random.rand()]\n"
        "set_result(found)"
    ),
    "in threads": """
import threading, time
found = {}
def draw(n):
    time.sleep(0.002 * ((n * 7) % 5)); found[n] = numbers()
threads = [threading.Thread(target=draw, args=(n,), name="same" if n > 5 else None) for n in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
set_result([x for n in range(6) for x in found[n]])
""",
    "in threads of one name": """
import threading, time
found = {}
def draw(n):
    time.sleep(0.01 * ((n * 7 + time.time_ns() // 1000) % 5)); found[n] = numbers()
    inner = threading.Thread(target=lambda: found.update({n + 10: numbers()}), name="same")
    inner.start(); inner.join(); found[n] += numbers()
threads = [threading.Thread(target=draw, args=(n,), name="same") for n in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
set_result([x for n in sorted(found) for x in found[n]])
""",
    "in forked processes": """
import os, multiprocessing
def draw(_): return [random.random(), *numbers()]
context = multiprocessing.get_context("fork")
found = numbers()
for _ in range(2):
    with context.Pool(1) as pool: found += pool.map(draw, [1])[0]
pids = [os.fork()]
if pids[0] == 0:
    if os.fork() == 0: open("inner", "w").write(str(draw(0))); os._exit(0)
    os.wait(); os._exit(0)
os.wait()
set_result([*found, *eval(open("inner").read())])
""",
}


@pytest.mark.parametrize("use", USES)
async def test_numbers_are_the_same_in_each_run_and_differ_among_each_other(use: str) -> None:
    code = UNSEEDED + USES[use]
    results = []
    for preload in ((), ("--import-of", "numpy")):
        async with worker(*preload) as target:
            for _ in range(4):
                ended = await target.run(code)
                assert ended.end == "completed", ended
                results.append(ended.value)
    assert all(result == results[0] for result in results)
    assert len(set(results[0])) == len(results[0])


# Each has as many threads as chance would have it, and one that is started then draws.
POOLS = {
    "an executor": """
with concurrent.futures.ThreadPoolExecutor(8) as pool: hold(pool.submit)
""",
    "asyncio.to_thread": """
import asyncio
async def main(): await asyncio.gather(*(asyncio.to_thread(barrier.wait) for _ in range(count)))
asyncio.run(main())
""",
    "an executor of a script's own class": """
class Pool(concurrent.futures.ThreadPoolExecutor): pass
with Pool(8) as pool: hold(pool.submit)
""",
    "a library's own pool": """
class Worker(threading.Thread):
    def run(self): barrier.wait()
def submit(_): Worker().start()
hold(submit)
""",
}
BEFORE_POOL = """
import concurrent.futures, os, threading
count = os.urandom(1)[0] % 5 + 1
barrier = threading.Barrier(count)
def hold(submit):
    for _ in range(count): submit(barrier.wait)
"""
AFTER_POOL = """
found = numbers()
thread = threading.Thread(target=lambda: found.extend(numbers()))
thread.start(); thread.join()
with concurrent.futures.ThreadPoolExecutor(1) as pool: found += pool.submit(numbers).result()
set_result([count, found])
"""


@pytest.mark.parametrize("pool", POOLS)
async def test_how_many_threads_a_pool_has_moves_no_numbers(shared: Worker, pool: str) -> None:
    results = [(await shared.run(UNSEEDED + BEFORE_POOL + POOLS[pool] + AFTER_POOL)).value for _ in range(8)]
    assert len({count for count, _ in results}) > 1
    assert all(found == results[0][1] for _, found in results)
    assert len(set(results[0][1])) == len(results[0][1])


async def test_they_follow_code_settings_and_memory(shared: Worker) -> None:
    code = "import random; set_result(random.Random().random())"
    runs = [
        await shared.run(code),
        await shared.run(code + " "),
        await shared.run(code, settings={"A": "1"}),
        await shared.run(code, memory='{"a": {}}'),
    ]
    assert len({run.result for run in runs}) == 4


async def test_a_package_that_makes_one_when_it_is_imported_has_the_same_in_each_worker(tmp_path: Path) -> None:
    source = "import random\nOWN, GIVEN = random.Random(), random.Random(); GIVEN.seed(7)"
    python = project_python(tmp_path / "env", {"makes_one": {"makes_one": source}})
    code = "import makes_one; set_result([makes_one.OWN.random(), makes_one.GIVEN.random()])"
    results = []
    for _ in range(2):
        async with worker("--import-of", "makes_one", python=python) as target:
            results += [(await target.run(code)).value for _ in range(2)]
            results.append((await target.run(code + " ")).value)
    assert results[:3] == results[3:] and results[0] == results[1]
    assert results[0][0] != results[2][0] and results[0][1] == results[2][1]


async def test_a_seed_that_is_given_counts_as_before(shared: Worker) -> None:
    code = """
import random
import numpy as np
random.seed(7); np.random.seed(7)
set_result([random.random(), random.Random(7).random(), np.random.rand(), np.random.default_rng(7).random()])
"""
    import random

    import numpy as np

    expected = [random.Random(7).random()] * 2 + [np.random.RandomState(7).rand(), np.random.default_rng(7).random()]
    assert (await shared.run(code)).value == expected
