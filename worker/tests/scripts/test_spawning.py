"""multiprocessing works with every start method, or says at once why it does not."""

from __future__ import annotations

import pytest

from ..harness import Worker, worker

METHODS = ("fork", "spawn", "forkserver")
USES = {
    "pool": "with context.Pool(2) as pool: set_result(pool.map(square, range(5)))",
    "process": (
        "queue = context.SimpleQueue()\n"
        "    process = context.Process(target=put, args=(queue,)); process.start(); process.join()\n"
        "    set_result([process.exitcode, queue.get()])"
    ),
    "executor": (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "    with ProcessPoolExecutor(2, mp_context=context) as pool: set_result(list(pool.map(square, range(5))))"
    ),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("method", METHODS)
async def test_each_start_method_works(shared: Worker, method: str, use: str) -> None:
    code = f"""import multiprocessing
def square(n): return n * n
def put(queue): queue.put("from the other process")
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    {USES[use]}
"""
    ended = await shared.run(code)
    assert ended.end == "completed", ended
    assert ended.value == ([0, "from the other process"] if use == "process" else [0, 1, 4, 9, 16])
    assert ended.stderr == b""


async def test_a_script_that_begins_with_a_byte_order_mark_runs_there_too(shared: Worker) -> None:
    code = """\ufeffimport multiprocessing
def name(_): return __name__ + " é"
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool: set_result(pool.map(name, [1]))
"""
    assert (await shared.run(code)).value == ["__mp_main__ é"]


BROKEN = {
    "unguarded": "pool = multiprocessing.get_context(METHOD).Pool(2)\nset_result(pool.map(abs, range(9)))",
    "a name of the first process": (
        "region = settings.get('REGION')\nif __name__ == '__main__':\n"
        "    set_result(multiprocessing.get_context(METHOD).Pool(2).map(abs, range(9)))"
    ),
    "an error in the others": (
        "if __name__ != '__main__': 1/0\nelse: multiprocessing.get_context(METHOD).Pool(2).map(abs, range(9))"
    ),
    "a function that the others do not have": (
        "if __name__ == '__main__':\n    def late(n): return n\n"
        "    multiprocessing.get_context(METHOD).Pool(2).map(late, range(9))"
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
async def test_a_pool_that_cannot_begin_ends_the_run_with_one_error(shared: Worker, method: str, broken: str) -> None:
    code = "import multiprocessing\nprint('once')\n" + BROKEN[broken].replace("METHOD", repr(method))
    ended = await shared.run(code, timeout_ms=50_000)
    assert ended.end == "script_error", ended
    assert 'under if __name__ == "__main__":' in (ended.error or "")
    assert len(ended.stderr) < 20_000
    if broken == "a name of the first process":
        assert b"settings works only in the script's first process" in ended.stderr


async def test_a_name_of_the_first_process_says_so_where_it_is_used(shared: Worker) -> None:
    code = """import multiprocessing
def region(_): return settings.get("REGION")
if __name__ == "__main__":
    multiprocessing.get_context("spawn").Pool(1).map(region, [1])
"""
    ended = await shared.run(code)
    assert ended.end == "script_error"
    assert "RuntimeError: settings works only in the script's first process" in (ended.error or "")


async def test_an_executor_that_cannot_begin_says_so(shared: Worker) -> None:
    code = """import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool: pool.submit(abs, 1).result()
"""
    ended = await shared.run(code)
    assert ended.end == "script_error" and "BrokenProcessPool" in (ended.error or "")
    assert b"bootstrapping phase" in ended.stderr


async def test_tracebacks_of_the_other_processes_show_the_scripts_lines(shared: Worker) -> None:
    code = """import multiprocessing
def fails(_): return 1 / 0  # here
if __name__ == "__main__":
    multiprocessing.get_context("spawn").Pool(1).map(fails, [1])
"""
    ended = await shared.run(code)
    assert 'File "script.py", line 2, in fails' in (ended.error or "")
    assert "return 1 / 0  # here" in (ended.error or "")


async def test_the_script_is_no_file_unless_it_must_be_and_counts_as_disk_then() -> None:
    async with worker(disk_bytes=1 << 20) as small:
        assert (await small.run("import os; set_result(os.listdir('.'))")).value == []
        large = "x = '" + "y" * (2 << 20) + "'\n"
        code = "import multiprocessing\nif __name__ == '__main__':\n multiprocessing.get_context('spawn').Pool(1)"
        ended = await small.run(large + code)
        assert ended.end == "script_error" and "No space left on device" in (ended.error or "")
        assert (await small.run(code)).end == "completed"
