"""A script that asks waits frozen, costs little, and gets the answer to its own question."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import grpc
import pytest

from airlock_worker.linux import processes

from ..harness import RunCall, Worker, named, worker

ASK = "answer = llm.complete('how much?')\nset_result(answer)"


async def test_two_questions_are_answered_in_order(shared: Worker) -> None:
    code = "a = llm.complete('one', model='m')\nb = llm.complete('two')\nset_result([a, b])"
    ended = await shared.run(code, answers=["é\n1", "2"])
    assert ended.value == ["é\n1", "2"]
    asked = [(q.id, q.prompt, q.model) for q in ended.questions]
    assert asked == [("llm_1", "one", "m"), ("llm_2", "two", "default")]


async def test_what_was_printed_before_a_question_comes_before_it(shared: Worker) -> None:
    call = await shared.start("import sys\nfor n in range(5000): print(n)\nprint('x', end='')\nllm.complete('q')")
    question = await call.until_question()
    assert call.ended.stdout.endswith(b"4999\nx")
    await call.answer(question.id, "")
    assert (await call.finish()).end == "completed"


async def test_an_answer_to_another_question_ends_the_call(shared: Worker) -> None:
    call = await shared.start(ASK)
    await call.until_question()
    await call.answer("llm_2", "no")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.finish()
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "llm_1" in (caught.value.details() or "")


async def test_questions_of_several_threads_are_put_one_after_the_other(shared: Worker) -> None:
    code = """
import threading
answers = {}
def ask(n): answers[n] = llm.complete(str(n))
threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
for t in threads: t.start()
for t in threads: t.join()
set_result([answers[n] for n in range(4)])
"""
    call = await shared.start(code)
    for _ in range(4):
        question = await call.until_question()
        await call.answer(question.id, "answer to " + question.prompt)
    assert (await call.finish()).value == [f"answer to {n}" for n in range(4)]


async def test_a_pause_does_not_count_and_everything_stands_still(shared: Worker) -> None:
    code = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    while True:
        os.write(write, b"t")
        time.sleep(0.01)
os.read(read, 1)
llm.complete('q')
os.write(write, b"e")
os.set_blocking(read, False)
set_result(len(os.read(read, 10000)))
"""
    began = time.monotonic()
    call = await shared.start(code, timeout_ms=3_000)
    question = await call.until_question()
    await asyncio.sleep(3.5)
    await call.answer(question.id, "")
    ended = await call.finish()
    wall_ms = (time.monotonic() - began) * 1000
    assert ended.end == "completed"
    assert ended.time_ms <= wall_ms - 3_500 + 1
    # The child process ticks a hundred times a second while the clock runs; in the pause it would have been 350 more.
    assert ended.value < ended.time_ms / 10 + 100


async def test_the_clock_goes_on_after_the_answer(shared: Worker) -> None:
    ended = await shared.run("llm.complete('q')\nwhile True: pass", answers=["a"], timeout_ms=300)
    assert ended.end == "timeout"


async def test_a_large_answer_arrives_whole(shared: Worker) -> None:
    ended = await shared.run("set_result(len(llm.complete('q')))", answers=["ä" * 5_000_000])
    assert ended.value == 5_000_000


async def test_a_stop_kills_a_paused_script(shared: Worker) -> None:
    call = await shared.start(named("left") + "llm.complete('q')")
    await call.until_question()
    [pid] = shared.pids_named("left")
    await call.stop()
    for _ in range(200):
        if not processes.exists(pid):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the paused script outlived its call")


async def test_a_paused_run_that_is_killed_from_outside_ends(shared: Worker) -> None:
    call = await shared.start(named("shot") + "llm.complete('q')")
    await call.until_question()
    [pid] = shared.pids_named("shot")
    os.kill(pid, 9)
    ended = await call.finish()
    assert ended.end == "killed"


async def test_an_answer_to_a_script_that_has_gone_is_no_mistake(shared: Worker) -> None:
    call = await shared.start(named("shot") + "llm.complete('q')")
    question = await call.until_question()
    [pid] = shared.pids_named("shot")
    os.kill(shared.process.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    await call.answer(question.id, "too late")
    await asyncio.sleep(0.3)
    os.kill(shared.process.pid, signal.SIGCONT)
    assert (await call.finish()).end == "killed"


async def test_fifty_paused_runs_cost_little_and_slow_nobody() -> None:
    async with worker() as crowded:
        plain_s = await _median_s(crowded)
        # Scripts without a name of their own, because the call that names a process makes pages private (92 KiB).
        calls = [await crowded.start("set_result(llm.complete('q'))") for _ in range(50)]
        questions = await asyncio.gather(*(call.until_question() for call in calls))
        crowded_s = await _median_s(crowded)
        private = sorted(map(_private_kib, _stopped_below(crowded.template())))
        assert len(private) == 50
        for n, (call, question) in enumerate(zip(calls, questions, strict=True)):
            await call.answer(question.id, str(n))
        ended = await asyncio.gather(*(call.finish() for call in calls))
        assert [one.value for one in ended] == [str(n) for n in range(50)]
        assert private[-1] <= 3 * 1024
        # Generous, since other things run on a test machine; a worker that waits for paused runs takes seconds.
        assert crowded_s < 3 * plain_s + 0.02


async def _median_s(target: Worker) -> float:
    times = []
    for _ in range(21):
        started = time.perf_counter()
        assert (await target.run("print('hi')")).stdout == b"hi\n"
        times.append(time.perf_counter() - started)
    return sorted(times)[10]


def _stopped_below(root: int) -> list[int]:
    """The processes of paused scripts."""
    stats = {}
    for pid in processes.descendants_of(root):
        # A spare may end meanwhile.
        with contextlib.suppress(OSError):
            stats[pid] = Path(f"/proc/{pid}/stat").read_text()
    return [pid for pid, stat in stats.items() if stat.rpartition(")")[2].split()[0] == "T"]


def _private_kib(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith(("Private_Dirty", "Private_Clean")))


async def test_each_question_says_how_long_the_script_has_run(shared: Worker) -> None:
    code = "import time\nfor _ in range(3): time.sleep(0.05); llm.complete('q')\ntime.sleep(0.05)"
    call = await shared.start(code)
    for _ in range(3):
        question = await call.until_question()
        await asyncio.sleep(0.2)
        await call.answer(question.id, "")
    ended = await call.finish()
    times = [event.execution_time_ms for event in ended.events if event.WhichOneof("event") == "llm_request"]
    assert len(times) == 3 and times[0] >= 50 and times == sorted(times)
    assert times[2] + 50 <= ended.time_ms


WAKES_ITSELF = """
import ctypes, platform, signal, threading
libc = ctypes.CDLL(None)
create, settime = (222, 223) if platform.machine() == "x86_64" else (107, 110)
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("number", ctypes.c_int), ("how", ctypes.c_int), ("_", ctypes.c_char * 48)]
timer = ctypes.c_int()
signal.signal(signal.SIGCONT, lambda *_: None)
# A signal to stop takes away those to go on that wait: so there are several.
for wait_ns in (200_000_000, 400_000_000, 600_000_000, 800_000_000):
    assert libc.syscall(create, 1, ctypes.byref(Event(None, signal.SIGCONT, 0)), ctypes.byref(timer)) == 0
    assert libc.syscall(settime, timer, 0, (ctypes.c_long * 4)(0, 5_000_000, 0, wait_ns), None) == 0
"""


async def test_a_run_that_wakes_itself_in_a_pause_is_timed(shared: Worker) -> None:
    code = (
        WAKES_ITSELF
        + """
def work():
    while True: pass
threading.Thread(target=work, daemon=True).start()
llm.complete("q")
"""
    )
    call = await shared.start(code, timeout_ms=2_000)
    await call.until_question()
    async with asyncio.timeout(20):
        ended = await call.finish()
    assert ended.end == "timeout"


async def test_a_run_that_wakes_itself_in_many_short_pauses_is_timed(shared: Worker) -> None:
    code = (
        WAKES_ITSELF
        + """
def work():
    while True: pass
threading.Thread(target=work, daemon=True).start()
while True: llm.complete("q")
"""
    )
    call = await shared.start(code, timeout_ms=2_000)
    async with asyncio.timeout(60):
        while not call.ended.end:
            event = await call.next_event()
            if event.WhichOneof("event") == "llm_request":
                # Shorter than the time to the first look at a pause.
                await asyncio.sleep(0.6)
                await call.answer(event.llm_request.id, "")
        ended = await call.finish()
    assert ended.end == "timeout"
    assert len(ended.questions) < 20


async def test_short_pauses_of_a_run_that_stands_still_are_not_timed(shared: Worker) -> None:
    code = """
import os, time
if os.fork() == 0: time.sleep(60)
for _ in range(30): llm.complete("q")
"""
    call = await shared.start(code, timeout_ms=2_000)
    while not call.ended.end:
        event = await call.next_event()
        if event.WhichOneof("event") == "llm_request":
            await asyncio.sleep(0.1)
            await call.answer(event.llm_request.id, "")
    ended = await call.finish()
    assert ended.end == "completed"
    assert ended.time_ms < 1_000


async def test_a_chain_of_processes_in_a_pause_is_timed(shared: Worker) -> None:
    code = (
        WAKES_ITSELF
        + """
import os, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def chain():
    while True:
        if os.fork() == 0: time.sleep(0.02); os._exit(0)
        time.sleep(0.01)
threading.Thread(target=chain, daemon=True).start()
llm.complete("q")
"""
    )
    call = await shared.start(code, timeout_ms=2_000)
    await call.until_question()
    async with asyncio.timeout(20):
        ended = await call.finish()
    assert ended.end == "timeout"


async def test_paused_runs_keep_nothing_of_their_requests_in_the_supervisor(shared: Worker) -> None:
    def resident() -> int:
        with open(f"/proc/{shared.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    async def paused(memory: str) -> RunCall:
        call = await shared.start("set_result(len(memory.get('a', 'b')) + len(llm.complete('q')))", memory=memory)
        await call.until_question()
        return call

    first = await paused('{"a":{"b":""}}')
    before = resident()
    size = 12 * 2**20
    calls = [await paused('{"a":{"b":"' + str(n) * size + '"}}') for n in range(6)]
    # Of what was freed the allocator keeps some.
    assert resident() - before < 5 * size
    for call in (first, *calls):
        await call.answer("llm_1", "four")
    assert [(await call.finish()).value for call in (first, *calls)] == [4] + [size + 4] * 6
