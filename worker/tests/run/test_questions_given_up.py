"""A question that the script gives up on, or leaves to a thread, mixes nothing up: each question has its own answer."""

from __future__ import annotations

import asyncio

import pytest

from ..harness import Worker

# The usual way to bound a call in Python. Timers run on while a run stands still.
TIMEOUT = """
import signal, time
class TooLate(Exception): pass
def too_late(*_): raise TooLate
signal.signal(signal.SIGALRM, too_late)
"""


def answer(prompt: str) -> str:
    return f"answer to {prompt}"


@pytest.mark.parametrize("between", ["", "time.sleep(0.2)"])
async def test_the_answer_to_a_question_that_timed_out_is_nobody_elses(shared: Worker, between: str) -> None:
    code = f"""{TIMEOUT}
signal.setitimer(signal.ITIMER_REAL, 0.5)
try: a = llm.complete("A")
except TooLate: a = "too late"
{between}
b = llm.complete("B")
{between}
set_result([a, b, llm.complete("C")])
"""
    call = await shared.start(code)
    question = await call.until_question()
    # Until the timer is over: it counts while the run is paused.
    await asyncio.sleep(1)
    await call.answer(question.id, answer(question.prompt))
    ended = await call.finish_by(answer)
    assert (ended.end, ended.error) == ("completed", None)
    assert ended.value == ["too late", "answer to B", "answer to C"]


async def test_exceptions_at_any_moment_of_a_question_leave_the_next_ones_in_order(shared: Worker) -> None:
    code = f"""{TIMEOUT}
wrong, right, late = [], 0, 0
for n in range(60):
    prompt = str(n) * (1 + n % 3 * 40_000)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.00001 + n * 0.00004)
        answer = llm.complete(prompt)
        signal.setitimer(signal.ITIMER_REAL, 0)
        right += 1
        if answer != "answer to " + prompt: wrong.append([n, answer[:50]])
    except TooLate:
        late += 1
signal.setitimer(signal.ITIMER_REAL, 0)
set_result([wrong, right + late, llm.complete("last")])
"""
    ended = await (await shared.start(code, timeout_ms=60_000)).finish_by(answer)
    assert (ended.end, ended.error) == ("completed", None)
    assert ended.value == [[], 60, "answer to last"]


async def test_exceptions_of_another_thread_do_neither(shared: Worker) -> None:
    code = """
import ctypes, threading, time
class Stop(Exception): pass
me, lock, asking, wrong, stopped = threading.get_ident(), threading.Lock(), False, [], 0
def disturb():
    global asking
    while True:
        time.sleep(0.001)
        with lock:
            if asking:
                asking = False
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), ctypes.py_object(Stop))
threading.Thread(target=disturb, daemon=True).start()
for n in range(40):
    prompt = str(n) * 30_000
    try:
        asking = n % 4 > 0
        answer = llm.complete(prompt)
        if answer != "answer to " + prompt: wrong.append([n, answer[:50]])
        with lock: asking = False
        time.sleep(0)
    except Stop: stopped += 1
set_result([wrong, stopped > 0, llm.complete("last")])
"""
    ended = await (await shared.start(code, timeout_ms=60_000)).finish_by(answer)
    assert (ended.end, ended.error) == ("completed", None)
    assert ended.value == [[], True, "answer to last"]


async def test_a_script_that_ends_while_a_daemon_thread_asks_keeps_its_result(shared: Worker) -> None:
    code = """
import threading
threading.Thread(target=lambda: llm.complete("hi"), daemon=True).start()
set_result("x" * 100_000)
"""
    for _ in range(20):
        ended = await (await shared.start(code)).finish_by(answer)
        assert (ended.end, ended.error, ended.value) == ("completed", None, "x" * 100_000)


async def test_a_set_result_that_fails_in_a_thread_or_at_exit_is_the_last_one(shared: Worker) -> None:
    late = "\ndef late():\n    time.sleep(0.2); set_result(object())\n"
    for code in (
        f"import threading, time\nset_result(1){late}threading.Thread(target=late).start()",
        f"import atexit, time\nset_result(1){late}atexit.register(late)",
    ):
        assert (await shared.run(code)).end == "result_invalid"
    mended = "import atexit\ntry: set_result(object())\nexcept ValueError: pass\natexit.register(set_result, 2)"
    assert (await shared.run(mended)).value == 2


async def test_a_handler_that_asks_in_the_middle_of_a_question_is_told_so(shared: Worker) -> None:
    code = """
import signal
said = []
def handler(*_):
    try: llm.complete("nested")
    except RuntimeError as error: said.append(str(error))
signal.signal(signal.SIGALRM, handler); signal.setitimer(signal.ITIMER_REAL, 0.3)
set_result([llm.complete("outer"), llm.complete("next"), said])
"""
    call = await shared.start(code)
    question = await call.until_question()
    await asyncio.sleep(0.6)
    await call.answer(question.id, "one")
    first, second, said = (await call.finish(["two"])).value
    assert (first, second) == ("one", "two")
    assert len(said) == 1 and "this thread already waits for a response" in said[0]
