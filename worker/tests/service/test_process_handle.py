"""The supervisor kills and stops processes that it holds, and no other that got the number of one since."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock_worker.linux import processes
from airlock_worker.linux.process_handle import ProcessHandle, handle_of
from airlock_worker.supervisor.run_process import RunProcess

from ..harness import Worker


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process with a child, that has nothing to do with Airlock."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as process:
        while len(_states(process.pid)) < 2 or {*_states(process.pid)} != {"S"}:
            time.sleep(0.01)
        with handle_of(process.pid) as handle:
            yield process.pid
            processes.kill_tree(handle)


def _pidfd_of_a_reaped_process() -> int:
    with subprocess.Popen(["true"]) as process:
        return os.pidfd_open(process.pid)


def _states(pid: int) -> list[str]:
    stats = (Path(f"/proc/{member}/stat").read_text() for member in (pid, *processes.descendants_of(pid)))
    return [stat.rpartition(")")[2].split()[0] for stat in stats]


@pytest.mark.parametrize("is_init", [True, False])
async def test_whoever_has_the_number_of_a_run_that_was_reaped_is_left_alone(stranger: int, is_init: bool) -> None:
    fds = [fd for _ in range(3) for fd in os.pipe()][:5]
    reaped = _pidfd_of_a_reaped_process()
    run = RunProcess(stranger, *fds, pidfd=reaped, listener=None, run_dir="/", is_init=is_init, cgroup="")
    await run.freeze()
    assert _states(stranger) == ["S", "S"]
    run.kill()
    await asyncio.sleep(0.1)
    assert _states(stranger) == ["S", "S"]
    run.exited.set_result(0)
    await run.release()


def test_what_is_held_is_stopped_and_killed_with_all_below_it(stranger: int) -> None:
    with handle_of(stranger) as handle:
        while not processes.freeze_tree(handle):
            pass
        assert _states(stranger) == ["T", "T"]
        processes.thaw_tree(handle)
        processes.kill_tree(handle)
        assert handle.is_there()
        os.waitpid(stranger, 0)
        assert not handle.is_there()


def test_a_handle_that_was_closed_sends_nothing(stranger: int) -> None:
    with handle_of(stranger) as handle:
        pass
    handle.send(signal.SIGKILL)
    assert not handle.is_there() and _states(stranger) == ["S", "S"]


def test_without_pidfds_the_number_has_to_do(stranger: int) -> None:
    processes.kill_tree(ProcessHandle(stranger, None))
    assert os.waitpid(stranger, 0)[1] == 9


def _held_by(pid: int) -> set[int]:
    held: set[int] = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.update(int(line.split()[1]) for line in entry.read_text().splitlines() if line.startswith("Pid:"))
    return held


async def test_the_worker_holds_the_processes_of_its_runs(shared: Worker) -> None:
    call = await shared.start("llm.complete('q')")
    question = await call.until_question()
    # A spare is made meanwhile, and it is held a moment later.
    async with asyncio.timeout(20):
        while set(processes.children_of(shared.template())) != _held_by(shared.process.pid):
            await asyncio.sleep(0.05)
    await call.answer(question.id, "")
    assert (await call.finish()).end == "completed"
