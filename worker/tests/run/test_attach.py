"""A run that loses its caller goes on, and whoever attaches gets all of it."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import grpc
import pytest

from ..harness import RunCall, Worker, code_of, named, worker

LONG = "import time\nprint('before', flush=True)\ntime.sleep(0.7)\nprint('after')\nset_result(1)"


async def refusal(call: RunCall) -> Any:
    """Airlock's code of a call that ends before its next event."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.next_event()
    return code_of(refused.value)


async def until_printed(call: RunCall, text: bytes) -> None:
    while text not in call.ended.stdout:
        await call.next_event()


async def test_all_is_said_again_to_whoever_attaches(shared: Worker) -> None:
    call = await shared.start(LONG, execution_id="again")
    await until_printed(call, b"before")
    call.cancel()
    ended = await (await shared.attach("again")).finish()
    assert (ended.end, ended.stdout, ended.value) == ("completed", b"before\nafter\n", 1)


async def test_an_end_that_nobody_recorded_is_said_again(shared: Worker) -> None:
    call = await shared.start("print('x' * 3_000_000)\nset_result('y' * 3_000_000)", execution_id="unrecorded")
    while not call.ended.end:
        await call.next_event()
    call.cancel()
    ended = await (await shared.attach("unrecorded")).finish()
    assert (len(ended.stdout), len(ended.value)) == (3_000_001, 3_000_000)


async def test_an_open_question_is_asked_again_and_an_answered_one_is_not(shared: Worker) -> None:
    code = "print(llm.complete('one'), flush=True)\nprint(llm.complete('two'))"
    call = await shared.start(code, execution_id="asks")
    await call.answer((await call.until_question()).id, "first")
    await call.until_question()
    call.cancel()
    again = await shared.attach("asks")
    assert (await again.until_question()).prompt == "two"
    await again.answer("llm_2", "second")
    ended = await again.finish()
    assert (ended.stdout, [question.id for question in ended.questions]) == (b"first\nsecond\n", ["llm_2"])


async def test_an_answer_that_both_callers_give_counts_once(shared: Worker) -> None:
    call = await shared.start("print(llm.complete('one'))\nprint(llm.complete('two'))", execution_id="both")
    await call.until_question()
    again = await shared.attach("both", epoch=2)
    await again.until_question()
    for response in ("first", "late"):
        await again.answer("llm_1", response)
    await again.until_question()
    await again.answer("llm_1", "later")
    await again.answer("llm_2", "second")
    ended = await again.finish()
    assert (ended.end, ended.stdout) == ("completed", b"first\nsecond\n")


async def test_the_later_caller_takes_over(shared: Worker) -> None:
    first = await shared.start("set_result(llm.complete('q'))", execution_id="contested", epoch=3)
    await first.until_question()
    assert await refusal(await shared.attach("contested", epoch=2)) == "run_superseded"
    second = await shared.attach("contested", epoch=4)
    assert await refusal(first) == "run_superseded"
    question = await second.until_question()
    await second.answer(question.id, "a")
    assert (await second.finish()).end == "completed"


async def test_what_was_never_here_is_unknown_and_what_was_recorded_is_over(shared: Worker) -> None:
    assert await refusal(await shared.attach("unknown")) == "run_unknown"
    await (await shared.start("pass", execution_id="recorded")).finish()
    assert await refusal(await shared.attach("recorded")) == "run_over"


async def test_nothing_runs_twice(shared: Worker) -> None:
    call = await shared.start(LONG, execution_id="once")
    await until_printed(call, b"before")
    assert await refusal(await shared.start(LONG, execution_id="once")) == "run_exists"
    await call.finish()
    assert await refusal(await shared.start(LONG, execution_id="once")) == "run_exists"


async def test_a_run_whose_caller_goes_while_it_is_started_is_another_callers_or_has_never_been_here() -> None:
    async with worker("--spares", "0") as slow:
        os.kill(slow.zygote(), signal.SIGSTOP)
        starts = await slow.start("set_result(1)", execution_id="followed", epoch=1)
        lost = await slow.start("set_result(1)", execution_id="lost", epoch=1)
        await asyncio.sleep(0.3)
        second, never = await slow.attach("followed"), await slow.attach("lost")
        lost.cancel()
        assert await refusal(never) == "run_unknown"
        os.kill(slow.zygote(), signal.SIGCONT)
        assert (await second.finish()).value == 1
        assert await refusal(starts) == "run_superseded"


async def test_a_run_that_nobody_comes_for_is_killed() -> None:
    async with worker("--grace", "0.3") as hasty:
        call = await hasty.start(named("lonely") + "print(1, flush=True)\nllm.complete('q')", execution_id="lonely")
        await call.until_question()
        assert len(hasty.pids_named("lonely")) == 1
        call.cancel()
        async with asyncio.timeout(10):
            while hasty.pids_named("lonely"):
                await asyncio.sleep(0.02)
        assert await refusal(await hasty.attach("lonely")) == "run_over"


async def test_a_paused_run_waits_for_a_caller_as_long_as_it_may_be_answered() -> None:
    async with worker("--grace", "0.3") as hasty:
        asks = "print(1, flush=True)\nset_result(llm.complete('q'))"
        waits = await hasty.start(named("waits") + asks, execution_id="waits", llm_timeout_ms=60_000)
        # This one asks when its caller has gone.
        late = "print(1, flush=True)\nimport time\ntime.sleep(0.1)\nset_result(llm.complete('q'))"
        asks_late = await hasty.start(named("late") + late, execution_id="late", llm_timeout_ms=60_000)
        short = await hasty.start(named("short") + asks, execution_id="short", llm_timeout_ms=900)
        sleeps = "import time\nprint(1, flush=True)\ntime.sleep(30)"
        runs = await hasty.start(named("runs") + sleeps, execution_id="runs", llm_timeout_ms=60_000)
        await until_printed(asks_late, b"1")
        asks_late.cancel()
        await waits.until_question()
        await short.until_question()
        await until_printed(runs, b"1")
        for call in (waits, short, runs):
            call.cancel()
        async with asyncio.timeout(10):
            while hasty.pids_named("runs") or hasty.pids_named("short"):
                await asyncio.sleep(0.02)
        for execution_id in ("waits", "late"):
            again = await hasty.attach(execution_id)
            await again.answer((await again.until_question()).id, "a")
            assert (await again.finish()).value == "a"


async def test_the_first_status_names_the_runs_that_are_here(shared: Worker) -> None:
    paused = await shared.start("set_result(llm.complete('q'))", execution_id="held-paused", llm_timeout_ms=90_000)
    await paused.until_question()
    running = await shared.start(
        "print(1, flush=True)\nimport time\ntime.sleep(1)\nset_result(1)", execution_id="held-running"
    )
    await until_printed(running, b"1")
    watch = shared.watch()
    status = await watch.read()
    watch.cancel()
    held = {run.execution_id: (run.paused, run.grace_ms) for run in status.held_runs}
    assert held["held-paused"] == (True, 90_000)
    assert held["held-running"] == (False, 60_000)
    await paused.answer("llm_1", "a")
    for call in (paused, running):
        assert (await call.finish()).end == "completed"
    watch = shared.watch()
    assert not {run.execution_id for run in (await watch.read()).held_runs} & set(held)
    watch.cancel()
