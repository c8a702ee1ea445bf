"""Every way a run can end has its own end reason, and nothing that was lost is called a success."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from airlock_worker.linux import processes

from ..harness import MIB, Worker, named, worker

# An exception that cannot be asked for its class.
NO_CLASS = """
class E(Exception):
    @property
    def __class__(self): raise ValueError("x" * 3_000_000)
print("before", end="")
import atexit; atexit.register(lambda: print(", at exit"))
"""
ENDINGS = [
    ("pass", "completed", None),
    ("import sys; sys.exit()", "completed", None),
    ("import sys; sys.exit(0)", "completed", None),
    ("import sys; sys.exit(3)", "exit_nonzero", "exit status 3"),
    ("import sys; sys.exit('no such invoice')", "exit_nonzero", "no such invoice"),
    ("import os; os._exit(7)", "exit_nonzero", "exit status 7"),
    ("import os; os._exit(0)", "script_error", "ended by os._exit or closed Airlock's control pipe"),
    ("1/0", "script_error", "ZeroDivisionError: division by zero"),
    ("raise KeyboardInterrupt('k')", "script_error", "KeyboardInterrupt: k"),
    ("class E(BaseException): pass\nraise E('b')", "script_error", "E: b"),
    ("def f(:", "script_error", "SyntaxError"),
    ("x = '\x00'", "script_error", "null bytes"),
    ("class E(Exception):\n def __str__(self): raise ValueError\nraise E", "script_error", "E"),
    (f"{NO_CLASS}raise E('boom')", "script_error", "E: boom"),
    (f"{NO_CLASS}class M(MemoryError): __class__ = vars(E)['__class__']\nraise M('boom')", "out_of_memory", "M: boom"),
    ("import sys\nsys.excepthook = lambda *a: sys.exit(0)\nset_result(1)\n1/0", "script_error", "ZeroDivisionError"),
    ("import sys\nsys.excepthook = lambda *a: sys.exit(False)\n1/0", "script_error", "ZeroDivisionError"),
    ("raise ExceptionGroup('g', [ValueError('inner')])", "script_error", "ValueError: inner"),
    ("import ctypes; ctypes.string_at(0)", "killed", "SIGSEGV"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "killed", "SIGTERM"),
    ("x = bytearray(10**10)", "out_of_memory", "MemoryError"),
    ("x = []\nwhile True: x.append(bytearray(1 << 20))", "out_of_memory", "MemoryError"),
    ("set_result(float('nan'))", "result_invalid", "result is NaN"),
    ("set_result(1)\ntry: set_result(b'x')\nexcept ValueError: pass", "result_invalid", "of type bytes"),
    ("try: set_result(b'x')\nexcept ValueError as e: raise RuntimeError('mine') from e", "result_invalid", "mine"),
    ("try: set_result(b'x')\nexcept ValueError: pass\nset_result(2)", "completed", None),
    ("try: set_result(b'x')\nexcept ValueError: pass\n1/0", "script_error", "ZeroDivisionError"),
    ("set_result('x' * 11_000_000)", "result_too_large", "the limit is 10485760"),
    ("try: set_result('x' * 11_000_000)\nexcept Exception: pass", "result_too_large", "the limit is 10485760"),
]


@pytest.mark.parametrize(("code", "end", "words"), ENDINGS, ids=[code[:40] for code, _, _ in ENDINGS])
async def test_each_ending_has_its_reason(shared: Worker, code: str, end: str, words: str | None) -> None:
    ended = await shared.run(code)
    assert ended.end == end
    if words is None:
        assert ended.error is None
    else:
        assert ended.error is not None and words in ended.error
        assert ended.result is None


async def test_an_exception_that_cannot_be_asked_loses_no_output(shared: Worker) -> None:
    ended = await shared.run(f"{NO_CLASS}raise E('boom')")
    assert (ended.stdout, ended.stderr) == (b"before, at exit\n", b"")


# The main thread has come to its end, and the script's threads go on.
IN_THE_WAIT = """
import os, signal, sys, threading, time
def work():
    time.sleep(0.6); print("thread done", flush=True); set_result("from thread")
threading.Thread(target=work).start()
def handler(*_): %s
signal.signal(signal.SIGALRM, handler); signal.setitimer(signal.ITIMER_REAL, 0.2)
"""


@pytest.mark.parametrize(
    ("what", "end", "words", "stdout"),
    [
        ("raise TimeoutError('guard')", "script_error", "TimeoutError: guard", b""),
        ("os.kill(os.getpid(), signal.SIGINT)", "script_error", "KeyboardInterrupt", b""),
        ("bytearray(10**10)", "out_of_memory", "MemoryError", b""),
        ("sys.exit(3)", "exit_nonzero", "exit status 3", b"thread done\n"),
        ("sys.exit()", "completed", None, b"thread done\n"),
        ("print('alarm')", "completed", None, b"alarm\nthread done\n"),
    ],
)
async def test_what_a_signal_handler_raises_while_threads_go_on_is_no_success(
    shared: Worker, what: str, end: str, words: str | None, stdout: bytes
) -> None:
    ended = await shared.run(IN_THE_WAIT % what)
    assert (ended.end, ended.stdout) == (end, stdout), ended
    if words is None:
        assert (ended.value, ended.error) == ("from thread", None)
    else:
        assert words in (ended.error or "") and ended.result is None
    if end in ("script_error", "out_of_memory"):
        assert "threads that still ran were ended" in (ended.error or "")


async def test_the_traceback_shows_the_scripts_lines_and_none_of_ours(shared: Worker) -> None:
    code = "def outer():\n    inner()  # here\ndef inner():\n    set_result({'a': [object()]})\nouter()\n"
    ended = await shared.run(code)
    error = ended.error or ""
    assert 'File "script.py", line 2, in outer\n    inner()  # here' in error
    assert 'result["a"][0] is of type object' in error
    assert "worker" not in error and error.count("File ") == 3


async def test_a_huge_error_keeps_its_head_and_tail(shared: Worker) -> None:
    ended = await shared.run("raise ValueError('A' * 200_000 + 'the end')")
    error = ended.error or ""
    assert len(error.encode()) <= 64 * 1024
    assert error.startswith("Traceback") and error.endswith("the end")
    assert "bytes cut" in error


async def test_a_timeout_ends_the_work_and_the_clock_agrees(shared: Worker) -> None:
    began = time.monotonic()
    ended = await shared.run("print('on')\nwhile True: pass", timeout_ms=3000)
    wall_ms = (time.monotonic() - began) * 1000
    assert ended.end == "timeout"
    assert ended.stdout == b"on\n"
    assert 3000 <= ended.time_ms <= wall_ms + 1
    assert ended.error is not None and "3 s" in ended.error


async def test_a_script_that_ended_in_time_has_no_timeout_though_its_end_is_heard_of_late(shared: Worker) -> None:
    code = "import os, time\nprint('on', flush=True)\ntime.sleep(0.5)\nos._exit(3)"
    call = await shared.start(code, timeout_ms=3000)
    while not call.ended.stdout:
        await call.next_event()
    os.kill(shared.process.pid, signal.SIGSTOP)
    await asyncio.sleep(3.5)
    os.kill(shared.process.pid, signal.SIGCONT)
    assert (await call.finish()).end == "exit_nonzero"


async def test_catching_everything_does_not_help_against_the_timeout(shared: Worker) -> None:
    code = """
import signal, time
for n in range(1, 65):
    try: signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try: time.sleep(1)
    except BaseException: pass
"""
    assert (await shared.run(code, timeout_ms=300)).end == "timeout"


async def test_a_stop_kills_the_script(shared: Worker) -> None:
    call = await shared.start(named("cancelled") + "import time\nprint(1)\ntime.sleep(60)")
    while not call.ended.stdout:
        await call.next_event()
    [pid] = shared.pids_named("cancelled")
    await call.stop()
    for _ in range(100):
        if not processes.exists(pid):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the script outlived its call")


async def test_output_beyond_the_limit_is_counted_not_sent() -> None:
    async with worker(max_output_bytes=100_000) as small:
        code = "import sys; sys.stdout.write('o' * 250_000); sys.stderr.write('e' * 100_000)"
        ended = await small.run(code)
        assert ended.end == "completed"
        assert ended.stdout == b"o" * 100_000 and ended.stderr == b"e" * 100_000
        assert ended.truncated == (150_000, 0)


async def test_a_flood_is_cut_with_its_byte_count(shared: Worker) -> None:
    ended = await shared.run("line = 'x' * 1023\nfor _ in range(50 * 1024): print(line)")
    assert ended.end == "completed"
    assert len(ended.stdout) == 10 * MIB
    assert ended.truncated == (40 * MIB, 0)
    assert max(len(event.output.data) for event in ended.events) <= MIB


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout_ms": 0}, "timeout_ms must be above 0"),
        ({"memory": "[1]"}, "not of the form"),
        ({"memory": '{"a": 1}'}, "not of the form"),
        ({"memory": '{"a": {"b": NaN}}'}, "holds NaN"),
        ({"memory": '{"a": {}, "a": {}}'}, "one key twice"),
        ({"memory": '{"a": {"b": ' + "[" * 20_000 + "]" * 20_000 + "}}"}, "deeper than 200"),
        ({"memory": "{"}, "is not JSON"),
    ],
)
async def test_a_start_that_cannot_be_run_is_refused(shared: Worker, options: dict[str, Any], words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared.run("pass", **options)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert words in (caught.value.details() or "")


async def test_a_large_memory_of_another_form_ends_the_run_before_its_script(shared: Worker) -> None:
    for memory in ("[" + "1," * 50_000 + "1]", '{"a":' + "1" * 100_000 + "}"):
        ended = await shared.run("print('ran')", memory=memory)
        assert (ended.end, ended.stdout) == ("start_failed", b"")
        assert "not of the form" in (ended.error or "")


async def test_a_large_memory_takes_neither_time_nor_memory_of_the_supervisor() -> None:
    memory = '{"a":{"b":[' + ",".join(['{"":{}}'] * 2_000_000) + "]}}"
    async with worker(memory_bytes=96 * MIB) as target:
        call = await target.start("print(1, flush=True)\nimport time; time.sleep(60)", timeout_ms=60_000)
        await call.next_event()
        supervisor = Path(f"/proc/{target.process.pid}")
        ticks = _cpu_s(supervisor)
        ended = await target.run("print('ran')", memory=memory)
        assert ended.end == "out_of_memory"
        assert _cpu_s(supervisor) - ticks < 1
        [peak] = re.findall(r"VmHWM:\s+(\d+) kB", (supervisor / "status").read_text())
        assert int(peak) < 300 * 1024
        await call.stop()


def _cpu_s(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_limits_of_zero_are_refused(shared: Worker) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared.provision(pids=0)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_new_limits_hold_for_the_next_run_and_not_for_one_under_way() -> None:
    async with worker(max_result_bytes=1000) as changing:
        call = await changing.start("llm.complete('wait')\nset_result('x' * 500)")
        question = await call.until_question()
        await changing.provision(max_result_bytes=100, settings={"K": "new"})
        await call.answer(question.id, "go")
        assert (await call.finish()).end == "completed"
        assert (await changing.run("set_result('x' * 500)")).end == "result_too_large"
        assert (await changing.run("set_result(settings.get('K'))")).value == "new"


async def test_results_of_forty_runs_at_once_are_each_their_own(shared: Worker) -> None:
    runs = [shared.run(f"print({n})\nset_result({n})") for n in range(40)]
    for n, ended in enumerate(await asyncio.gather(*runs)):
        assert (ended.end, ended.stdout, json.loads(ended.result or "")) == ("completed", b"%d\n" % n, n)


async def test_a_request_whose_memory_does_not_fit_is_no_failed_start() -> None:
    memory = '{"a":{"b":[' + ",".join(['{"":{}}'] * 400_000) + "]}}"
    async with worker(memory_bytes=96 * MIB) as target:
        ended = await target.run("print('ran')", memory=memory)
        assert (ended.end, ended.stdout) == ("out_of_memory", b""), ended.error
        assert "memory and settings of the request take more than the 96 MB" in (ended.error or "")
        assert (await target.run("set_result(1)")).value == 1


async def test_the_time_begins_when_the_script_has_its_memory(shared: Worker) -> None:
    memory = json.dumps({"a": {"b": [0] * 7_000_000}}, separators=(",", ":"))
    ended = await shared.run("set_result(type(memory.get('a', 'b')).__name__)", timeout_ms=600, memory=memory)
    assert (ended.end, ended.value) == ("completed", "list")


@pytest.mark.parametrize(
    "does",
    [
        "n = 0\n    while True: memory.set('progress', str(n), n); n += 1",
        "while True: set_result('other')",
        "while True: print(end='.')",
    ],
)
async def test_a_thread_that_goes_on_at_the_end_takes_no_result_away(shared: Worker, does: str) -> None:
    code = f"""
import threading, time
def work():
    {does}
threading.Thread(target=work, daemon=True).start()
time.sleep(0.1); set_result("done")
"""
    for _ in range(6):
        ended = await shared.run(code)
        assert ended.end == "completed", ended.error
        assert ended.value in ("done", "other")


async def test_threads_that_fill_the_memory_updates_keep_to_their_limit() -> None:
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
def work(k):
    try:
        for n in range(10**6): memory.set("c", f"{k}-{n}", "x" * 2000)
    except Exception: pass
threads = [threading.Thread(target=work, args=(k,)) for k in range(12)]
for each in threads: each.start()
for each in threads: each.join()
"""
    async with worker(max_result_bytes=MIB) as target:
        for _ in range(4):
            assert (await target.run(code)).end == "completed"


async def test_a_script_that_ends_with_no_memory_left_keeps_its_result() -> None:
    code = """
import sys, time
set_result("r" * 9_900_000)
sys.keep = k = []
try:
    while True: k.append(bytearray(1 << 20)); time.sleep(0.0005)
except MemoryError: pass
try:
    while True: k.append(bytearray(1 << 14))
except MemoryError: pass
"""
    async with worker(memory_bytes=256 * MIB) as target:
        ended = await target.run(code)
    assert ended.end == "completed", ended.error
    assert len(ended.value) == 9_900_000


FEEDS = """
import subprocess, threading, time
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def feed(): p.stdin.write(b"x" * 1_000_000); p.stdin.close()
thread = threading.Thread(target=feed, daemon=True); thread.start(); time.sleep(0.2)
"""


async def test_a_thread_that_waits_in_a_stream_holds_up_neither_a_question_nor_the_end(shared: Worker) -> None:
    ended = await shared.run(f"{FEEDS}set_result(p.stdout.read(10).decode())", timeout_ms=5_000)
    assert (ended.end, ended.value) == ("completed", "x" * 10), ended
    code = f"{FEEDS}name = llm.complete('?'); data = p.stdout.read(); thread.join(); set_result([name, len(data)])"
    ended = await shared.run(code, ["a name"], timeout_ms=5_000)
    assert (ended.end, ended.value) == ("completed", ["a name", 1_000_000]), ended


# Its handler runs at any moment, also while Airlock ends the run.
TICKS = """
import signal
ticks = 0
def tick(*_):
    global ticks
    ticks += 1
    %s
signal.signal(signal.SIGALRM, tick); signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
set_result(sum(n * n for n in range(10**4)))
"""


async def test_a_handler_that_runs_at_the_end_changes_no_ending(shared: Worker) -> None:
    for _ in range(30):
        ended = await shared.run(TICKS % "pass")
        assert ended.end == "completed", ended.error
    for _ in range(15):
        ended = await shared.run(TICKS % "if ticks > 20: raise TimeoutError('tick')")
        assert ended.end == "completed" or (ended.end == "script_error" and "TimeoutError: tick" in str(ended.error))
        assert "Airlock failed" not in str(ended.error)


async def test_a_long_chain_of_exceptions_is_told_within_the_time(shared: Worker) -> None:
    code = "last = None\nfor n in range(20_000): new = ValueError(n); new.__context__ = last; last = new\nraise last"
    ended = await shared.run(code, timeout_ms=20_000)
    assert ended.end == "script_error" and "ValueError: 19999" in (ended.error or ""), ended
