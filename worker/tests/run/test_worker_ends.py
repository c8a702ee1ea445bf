"""However a worker ends, its runs are told if anybody is left to tell, and no process stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from airlock_worker.linux import processes

from ..harness import M, Worker, worker


@pytest.mark.parametrize("lost", [Worker.zygote, Worker.template])
async def test_a_killed_zygote_or_template_ends_its_runs_and_the_worker(lost: Callable[[Worker], int]) -> None:
    async with worker() as target:
        paused = await target.start("print('before')\nllm.complete('q')")
        await paused.until_question()
        running = await target.start(
            "import subprocess, time\nsubprocess.Popen(['sleep', '61'])\nprint('up')\ntime.sleep(60)"
        )
        while not running.ended.stdout:
            await running.next_event()
        family = processes.descendants_of(target.process.pid)
        os.kill(lost(target), 9)
        for call in (paused, running):
            ended = await call.finish()
            assert ended.end == "worker_lost"
            assert ended.error is not None and ended.result is None
        assert paused.ended.stdout == b"before\n"
        assert await asyncio.wait_for(target.process.wait(), 5) == 1
        assert len(family) >= 4 and not [pid for pid in family if processes.exists(pid)]


async def test_a_worker_that_is_told_to_go_while_it_measures_its_sandbox_ends_in_order() -> None:
    async with worker(ready=False) as target:
        async with asyncio.timeout(20):
            while not (family := _probe_run(target)):
                await asyncio.sleep(0.001)
        # The zygote cannot tell of the probe run's end any more, so that the supervisor waits for it.
        os.kill(family[0], signal.SIGSTOP)
        await asyncio.sleep(0.5)
        target.process.terminate()
        assert await asyncio.wait_for(target.process.wait(), 10) == 0
        log = target.log_path.read_text()
        assert "stopped" in log and "Traceback" not in log and "InvalidStateError" not in log
        assert not [pid for pid in family if processes.exists(pid)]


async def test_a_zygote_that_is_killed_while_it_starts_is_told_of_at_once() -> None:
    async with worker(ready=False) as target:
        watch = target.watch()
        states = M.enum("WorkerState")
        async with asyncio.timeout(30):
            assert (await watch.read()).state == states["WORKER_STATE_STARTING"]
            os.kill(target.zygote(), signal.SIGKILL)
            status = await watch.read()
        watch.cancel()
        assert status.state == states["WORKER_STATE_FAILED"]
        assert "killed by SIGKILL" in status.detail


def _probe_run(target: Worker) -> list[int]:
    """The zygote and all below it once the probe run has left its daemon, else nothing."""
    for zygote in processes.children_of(target.process.pid):
        for template in processes.children_of(zygote):
            for first in processes.children_of(template):
                if len(processes.descendants_of(first)) > 1:
                    return [zygote, *processes.descendants_of(zygote)]
    return []


async def test_a_script_cannot_reach_what_runs_it() -> None:
    code = """
import contextlib, os, signal
everybody = [-1, 0, *range(1, 40), os.getppid()]
for pid in set(everybody) - {os.getpid()}:
    for number in (signal.SIGSTOP, signal.SIGKILL) if pid else (signal.SIGCONT,):
        with contextlib.suppress(OSError): os.kill(pid, number)
set_result(os.getppid())
"""
    async with worker() as target:
        zygote = target.zygote()
        ended = await target.run(code)
        assert (ended.end, ended.value) == ("completed", 1)
        assert (await target.run("set_result(2)")).value == 2
        assert target.zygote() == zygote


async def test_a_killed_supervisor_leaves_nothing_behind() -> None:
    async with worker() as target:
        running = await target.start(
            "import subprocess, time\nsubprocess.Popen(['sleep', '62'])\nprint('up')\ntime.sleep(60)"
        )
        while not running.ended.stdout:
            await running.next_event()
        family = processes.descendants_of(target.process.pid)
        assert len(family) >= 3
        target.process.kill()
        await target.process.wait()
        for _ in range(150):
            if not [pid for pid in family if processes.exists(pid)]:
                return
            await asyncio.sleep(0.02)
        raise AssertionError([pid for pid in family if processes.exists(pid)])


@pytest.mark.parametrize("how", ["SIGTERM", "standard input closed"])
async def test_a_worker_that_is_told_to_stop_goes_quickly_and_completely(how: str) -> None:
    async with worker() as target:
        running = await target.start("import time\nprint('up')\ntime.sleep(60)")
        while not running.ended.stdout:
            await running.next_event()
        family = processes.descendants_of(target.process.pid)
        if how == "SIGTERM":
            target.process.terminate()
        else:
            assert target.process.stdin is not None
            target.process.stdin.close()
        assert (await running.finish()).end == "worker_lost"
        assert await asyncio.wait_for(target.process.wait(), 3) == 0
        assert not [pid for pid in family if processes.exists(pid)]


@pytest.mark.parametrize("left", ["", "import subprocess\nsubprocess.Popen(['sleep', '63'])\n"])
async def test_a_script_that_completed_is_told_so_before_its_processes_are_seen_to_be_gone(left: str) -> None:
    async with worker() as target:
        call = await target.start(f"{left}print('up')\nllm.complete('q')\nprint('done')\nset_result(1)")
        question = await call.until_question()
        # It is the one that sees them gone.
        os.kill(target.zygote(), signal.SIGSTOP)
        await call.answer(question.id, "")
        ended = await asyncio.wait_for(call.finish(), 4)
        assert (ended.end, ended.value, ended.stdout) == ("completed", 1, b"up\ndone\n")
        # A worker that does not come to see it is none to go on with.
        status = await target.until_state("RETIRING")
        assert "could not be ended" in status.detail
        os.kill(target.zygote(), signal.SIGCONT)
