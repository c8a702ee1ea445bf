"""Scripts that misbehave end once, with the right reason, and the next run is untouched."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from airlock_worker.linux import processes

from ..harness import Ended, M, Worker, worker

# The zygote, and two spares with process 1 of their namespaces above them.
_FAMILY = 6


async def _next_is_fine(target: Worker) -> None:
    ended = await target.run("print('fine')\nset_result(1)")
    assert (ended.end, ended.stdout, ended.result) == ("completed", b"fine\n", "1")


async def _family(target: Worker) -> int:
    """How many processes the worker has once it has settled: the zygote, its template and the spares."""
    for _ in range(100):
        found = processes.descendants_of(target.process.pid)
        if len(found) <= _FAMILY:
            return len(found)
        await asyncio.sleep(0.02)
    return len(found)


BAD = [
    ("import os; os._exit(3)", "exit_nonzero"),
    ("import ctypes; ctypes.string_at(0)", "killed"),
    ("import os; os.closerange(0, 256)", "script_error"),
    ("import os; os.closerange(0, 256); raise ValueError", "script_error"),
    ("import os; os.close(1); os.close(2); set_result(1)", "completed"),
    ("import sys; sys.stdout = sys.stderr = None; set_result(1)", "completed"),
    ("import sys; sys.stdout.close(); set_result(1)", "completed"),
    ("while True:\n try:\n  while True: pass\n except BaseException: pass", "timeout"),
    ("import os; os.chmod('.', 0); os.chmod('/tmp', 0)", "completed"),
    ("import os; os.rmdir(os.getcwd())", "completed"),
    (
        "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        ("killed", "script_error", "out_of_memory", "timeout"),
    ),
    ("import builtins, sys, json; json.dumps = builtins.print = None; sys.modules.clear()", None),
    ("import signal, os; os.kill(os.getpid(), signal.SIGSTOP)", "timeout"),
    ("import resource; resource.setrlimit(resource.RLIMIT_AS, (1, 1)); x = 'y' * 10_000_000", None),
    ("import threading, time\nthreading.Thread(target=lambda: time.sleep(99)).start()", "timeout"),
    ("import atexit, os; atexit.register(os._exit, 5)", "exit_nonzero"),
    ("import atexit, time; atexit.register(time.sleep, 99)", "timeout"),
]


@pytest.mark.parametrize(("code", "end"), BAD, ids=[code[:50] for code, _ in BAD])
async def test_a_bad_script_ends_once_and_the_next_is_fine(
    shared: Worker, code: str, end: str | tuple[str, ...] | None
) -> None:
    stands_still = end is None or "timeout" in end
    ended = await shared.run(code, timeout_ms=1000 if stands_still else 20_000)
    if end is not None:
        assert ended.end in ((end,) if isinstance(end, str) else end), ended
    await _next_is_fine(shared)


GARBAGE = """
import os, socket
for fd in range(256):
    try: os.write(fd, {garbage})
    except OSError: pass
set_result("forged")
"""


@pytest.mark.parametrize(
    "garbage",
    [
        "b'garbage' * 100",
        r"b'R\x00\x00\x00\x02{{' + b'D\x00\x00\x00\x02{}'",
        r"b'D\x00\x00\x00\x20' + b'x' * 32",
        r"b'Q\x00\x00\x00\x02{}'",
        r"b'Q\xff\xff\xff\xff'",
        r"b'D\x00\x00\x00\x1f' + b'{\"end\":\"cancelled\",\"error\":\"\"}'",
        r"b'D\x00\x00\x00\x1f' + b'{\"end\":\"completed\",\"error\":\"\"}' * 2",
    ],
)
async def test_garbage_on_every_descriptor_is_an_error_and_retires_the_worker(garbage: str) -> None:
    async with worker() as target:
        watch = target.watch()
        ready = await watch.read()
        ended = await target.run(GARBAGE.replace("{garbage}", garbage))
        assert ended.end == "script_error"
        assert ended.error is not None and "Airlock's own descriptor" in ended.error
        assert ended.result is None
        retiring = await watch.read()
        assert (ready.state, retiring.state) == (2, 3)
        assert retiring.detail == "a run wrote to its control pipe"
        assert len(retiring.isolation_layers) > 5
        await _next_is_fine(target)


async def test_a_forged_result_is_checked(shared: Worker) -> None:
    forge = r"""
import os, struct
def frame(kind, text): return kind + struct.pack(">I", len(text)) + text
os.write(3, frame(b"R", TEXT) + frame(b"D", b'{"end":"completed","error":""}'))
os._exit(0)
"""
    for text, end in [
        ("b'[1.0]'", "completed"),
        ("b'[NaN]'", "result_invalid"),
        ("b'[1'", "result_invalid"),
        (r"b'\xff'", "result_invalid"),
        ('b\'{"a":1,"a":2}\'', "result_invalid"),
        ("b'[' * 300 + b']' * 300", "result_invalid"),
        ("b'[' * 100000", "result_invalid"),
        (r"b'\"\\ud800\"'", "result_invalid"),
        ("b'1' * 5000", "completed"),
        (r"b'\"\\\\ud800 \"'", "completed"),
        ("b'1' * 11_000_000", "result_too_large"),
    ]:
        ended = await shared.run(forge.replace("TEXT", text))
        assert ended.end == end, (text, ended)
        assert (ended.result is not None) == (end == "completed")


FORGED_END = r"""
import json, os, struct
text = json.dumps({"end": END, "error": "The project's packages could not be installed: index unreachable"}).encode()
os.write(3, b"D" + struct.pack(">I", len(text)) + text)
os._exit(0)
"""


@pytest.mark.parametrize("end", [name.removeprefix("END_REASON_").lower() for name in M.enum("EndReason")])
async def test_a_script_cannot_claim_an_end_that_says_it_did_not_run_or_that_others_see_from_outside(end: str) -> None:
    async with worker() as target:
        ended = await target.run(FORGED_END.replace("END", repr(end)))
        # Each of these says that the script ran, and it can bring each about by itself.
        own = ("completed", "script_error", "exit_nonzero", "out_of_memory", "result_invalid", "result_too_large")
        assert ended.end == (end if end in own else "script_error")
        await _next_is_fine(target)


async def test_a_script_cannot_take_back_that_it_began(shared: Worker) -> None:
    # A signal of its own that ends it before it could say anything is its end, and no failed start.
    assert (await shared.run("import os; os.kill(os.getpid(), 11)")).end == "killed"
    forged = r"import os; os.write(3, b'B\0\0\0\0'); os.kill(os.getpid(), 11)"
    async with worker() as target:
        assert (await target.run(forged)).end == "script_error"


async def test_an_end_forged_by_a_child_does_not_hide_the_scripts_own() -> None:
    code = r"""
import os, struct, time
def frame(kind, text): return kind + struct.pack(">I", len(text)) + text
if os.fork() == 0:
    os.write(3, frame(b"R", b'"forged"') + frame(b"D", b'{"end":"completed","error":""}'))
    os._exit(0)
os.wait()
os.close(1)
os.close(2)
time.sleep(0.3)
set_result("own")
"""
    async with worker() as target:
        ended = await target.run(code)
        assert (ended.end, ended.result) == ("script_error", None)
        assert ended.error is not None and "Airlock's own descriptor" in ended.error


async def test_a_script_that_kills_itself_leaves_the_worker_to_others() -> None:
    async with worker() as target:
        watch = target.watch()
        await watch.read()
        # A worker that retires says so before it tells of the end.
        retiring = asyncio.ensure_future(watch.read())
        for _ in range(2):
            assert (await target.run("import os; os.kill(os.getpid(), 9)")).end == "killed"
            await _next_is_fine(target)
        assert not retiring.done()
        watch.cancel()
        await asyncio.wait([retiring])


FORKS = {
    "a fork bomb": "import os\nfor _ in range(7): os.fork()\nimport time; time.sleep(60)",
    "an endless fork bomb": "import os\nwhile True:\n try: os.fork()\n except OSError: pass",
    "a daemon": """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 256)
        import signal; signal.pause()
    os._exit(0)
os.wait()
""",
    "a process that leaves the subreaper": """
import ctypes, os, time
ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
if os.fork() == 0:
    if os.fork() == 0: time.sleep(60)
    os._exit(0)
os.wait()
""",
    "a subprocess": "import subprocess; subprocess.Popen(['sleep', '60'])",
}


@pytest.mark.parametrize("name", FORKS)
async def test_no_process_outlives_its_run(name: str) -> None:
    async with worker() as target:
        await target.run("pass")
        before = await _family(target)
        ended: Ended = await target.run(FORKS[name], timeout_ms=5000)
        # The kernel's own limit meets a bomb with EAGAIN, on which it fails, or goes on trying.
        assert ended.end in (("script_error", "timeout") if "bomb" in name else ("completed",)), ended
        # One that completed is told before its processes are gone.
        async with asyncio.timeout(10):
            while any(_command(pid) == "sleep" for pid in processes.descendants_of(target.process.pid)):
                await asyncio.sleep(0.02)
        assert before <= _FAMILY and await _family(target) <= _FAMILY
        await _next_is_fine(target)


async def test_a_forked_process_cannot_speak_for_the_script(shared: Worker) -> None:
    code = """
import os
pid = os.fork()
if pid == 0:
    for call in (lambda: set_result(2), lambda: memory.set("a", "b", 1), lambda: llm.complete("q")):
        try: call()
        except RuntimeError as error: print(error)
    raise SystemExit(4)
set_result(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    ended = await shared.run(code)
    assert (ended.end, ended.result, ended.questions) == ("completed", "4", [])
    assert ended.stdout.count(b"works only in the script's first process") == 3


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
