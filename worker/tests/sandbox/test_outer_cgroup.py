"""What the kernel does to a whole worker, as in a container: the runs in it have no cgroups of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from airlock_worker.cgroups.cgroup_membership import Membership, memberships
from airlock_worker.cgroups.outer_cgroup import Counts, OuterCgroup
from airlock_worker.supervisor.run.container_kills import ContainerKills

from ..harness import MIB, Worker, worker

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user may make no cgroups")

# Memory that is no process's own: only the kernel sees it.
MEMFDS = 'import os\nwhile True: os.write(os.memfd_create("m"), b"x" * (16 << 20))'
THREADS = """
import threading, time
for _ in range(40): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
"""


@contextlib.asynccontextmanager
async def contained(memory_bytes: int, pids: int, memory: int = 64 * MIB) -> AsyncIterator[Worker]:
    """A worker in a cgroup with these limits, which sees the trees read-only. `memory`: bytes that a run may have."""
    made: list[Path] = []
    values = {
        (1, "memory"): {"memory.limit_in_bytes": memory_bytes, "memory.memsw.limit_in_bytes": memory_bytes},
        (2, "memory"): {"memory.max": memory_bytes, "memory.swap.max": 0},
        (1, "pids"): {"pids.max": pids},
        (2, "pids"): {"pids.max": pids},
    }
    try:
        for membership in memberships():
            wanted = [name for name in ("memory", "pids") if name in membership.controllers]
            if not wanted:
                continue
            place = Path(membership.directory) / f"airlock-test-{os.getpid()}"
            place.mkdir()
            made.append(place)
            for name in wanted:
                for file, value in values[membership.version, name].items():
                    if (place / file).exists():
                        (place / file).write_text(str(value))
        assert made, "this machine has no cgroups for memory and pids"
        enter = "; ".join(f"echo $$ > '{place}/cgroup.procs'" for place in made)
        read_only = 'grep -E " cgroup2? " /proc/mounts | cut -d" " -f2 | xargs -n 1 mount -o remount,bind,ro'
        inner = f'{read_only}; exec "$@"'
        outer = f"{enter}; exec unshare --user --map-root-user --mount sh -ec '{inner}' sh \"$@\""
        wrapper = ("sh", "-ec", outer, "sh")
        async with worker(wrapper=wrapper, memory_bytes=memory, disk_bytes=32 * MIB, pids=64) as target:
            yield target
    finally:
        for place in made:
            place.rmdir()


@needs_root
async def test_a_run_that_the_kernel_kills_for_the_worker_s_memory_says_so_and_the_worker_goes() -> None:
    async with contained(memory_bytes=400 * MIB, pids=1_000) as target:
        ended = await target.run(MEMFDS)
        assert ended.end == "out_of_memory", ended
        assert "The kernel killed the script for lack of memory" in (ended.error or "")
        assert "all processes of a run together may have 64 MB" in (ended.error or "")
        await target.until_state("RETIRING")


HOLDS = "x = b'x' * (74 << 20)\nllm.complete('hold')\nset_result(len(x))"
# One process of 122 MB at a time, each of which counts a quarter of the rows.
JOBS = """
import subprocess, sys
job = "import time; rows = b'x' * (122 << 20); time.sleep(.5); print(250)"
out = []
for _ in range(4): out += subprocess.run([sys.executable, "-c", job], stdout=subprocess.PIPE, text=True).stdout.split()
set_result(sum(map(int, out)))
"""


@needs_root
async def test_a_run_that_may_have_lost_a_process_to_the_worker_s_memory_does_not_complete() -> None:
    async with contained(memory_bytes=400 * MIB, pids=1_000, memory=128 * MIB) as target:
        paused = [await target.start(HOLDS) for _ in range(3)]
        for call in paused:
            await call.until_question()
        ended = await target.run(JOBS)
        assert (ended.end, ended.result) == ("out_of_memory", None), ended
        assert re.match(r"The kernel killed \d of the worker's processes for lack of memory while", ended.error or "")
        await target.until_state("RETIRING")
        # A paused run that has lost nothing completes.
        for call in paused:
            await call.answer("llm_1", "go on")
        assert [(await call.finish()).value for call in paused] == [74 << 20] * 3


LOSES_ONE = """
import subprocess, sys, time
job = "import time; rows = b'x' * (122 << 20); time.sleep(.5); print(250)"
out = subprocess.run([sys.executable, "-c", job], stdout=subprocess.PIPE, text=True).stdout.split()
print("counted", flush=True)
time.sleep(4)
set_result(sum(map(int, out)))
"""
KILLS_ITSELF = "import os, sys, time\nprint('ready', flush=True)\ntime.sleep(3)\nos.kill(os.getpid(), 9)"


@needs_root
async def test_a_run_that_lost_a_process_does_not_complete_when_another_one_looks_like_the_victim() -> None:
    async with contained(memory_bytes=400 * MIB, pids=1_000, memory=128 * MIB) as target:
        paused = [await target.start(HOLDS) for _ in range(3)]
        for call in paused:
            await call.until_question()
        other = await target.start(KILLS_ITSELF, timeout_ms=60_000)
        await other.next_event()
        loses = await target.start(LOSES_ONE, timeout_ms=60_000)
        ended, its_own = await asyncio.gather(loses.finish(), other.finish())
        assert (ended.end, ended.result) == ("out_of_memory", None), (ended, its_own)


LOSES_IN_A_PAUSE = """
import subprocess, sys
job = "import sys; rows = b'x' * (110 << 20); print(250, flush=True); sys.stdin.readline(); print(250)"
job = subprocess.Popen([sys.executable, "-c", job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
rows = int(job.stdout.readline())
llm.complete("hold")
try: job.communicate("go on")
except OSError: pass
set_result(rows)
"""


@needs_root
@pytest.mark.parametrize("answered_at_once", [True, False])
async def test_a_paused_run_that_lost_a_process_to_the_worker_s_memory_does_not_complete_and_others_do(
    answered_at_once: bool,
) -> None:
    async with contained(memory_bytes=300 * MIB, pids=1_000, memory=128 * MIB) as target:
        loses = await target.start(LOSES_IN_A_PAUSE, timeout_ms=60_000)
        loses_nothing = await target.start("llm.complete('q')\nset_result(2)")
        for call in (loses, loses_nothing):
            await call.until_question()
        # Memory that only the kernel sees, so that the largest process is the paused one.
        await target.run(MEMFDS)
        if answered_at_once:
            await loses.answer("llm_1", "go on")
        ended = await loses.finish()
        assert (ended.end, ended.result) == ("out_of_memory", None), ended
        assert ended.time_ms < 5_000
        await loses_nothing.answer("llm_1", "go on")
        assert (await loses_nothing.finish()).value == 2


@needs_root
async def test_a_run_that_kills_itself_is_not_said_to_have_had_no_memory() -> None:
    async with contained(memory_bytes=400 * MIB, pids=1_000) as target:
        assert (await target.run("import os; os.kill(os.getpid(), 9)")).end == "killed"


@needs_root
async def test_a_run_that_paused_ones_leave_no_process_hears_of_them() -> None:
    async with contained(memory_bytes=1_000 * MIB, pids=160) as target:
        paused = []
        while True:
            call = await target.start(f"{THREADS}\nllm.complete('q')\nset_result(1)")
            event = await call.next_event()
            if event.WhichOneof("event") != "llm_request":
                ended = await call.finish()
                break
            paused.append(call)
        assert paused
        assert ended.end == "script_error", ended
        text = "because the worker has 160, as many as it may have, with those of paused executions."
        assert text in (ended.error or ""), ended
        assert "A run may have 64 processes" not in (ended.error or "")
        await paused[0].answer("llm_1", "a")
        assert (await paused[0].finish()).value == 1


@pytest.mark.parametrize(
    ("version", "memory_file", "memory", "pids"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "max 7\n"),
        (2, "memory.events", "low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n", "max 7\n"),
    ],
)
def test_the_kernel_s_counts_are_read_in_both_versions(
    tmp_path: Path, version: Literal[1, 2], memory_file: str, memory: str, pids: str
) -> None:
    for file, text in ((memory_file, memory), ("pids.events", pids), ("pids.max", "160\n")):
        (tmp_path / file).write_text(text)
    outer = OuterCgroup([Membership(version, ("memory", "pids"), str(tmp_path), str(tmp_path))])
    assert outer.counts() == Counts(oom_kills=3, refused=7)
    assert outer.most_processes() == 160
    (tmp_path / "pids.max").write_text("max\n")
    assert outer.most_processes() is None


class KillsAtEachLook(OuterCgroup):
    """A machine on which the kernel kills a process between any two looks."""

    looks = 0

    def counts(self) -> Counts:
        self.looks += 1
        return Counts(oom_kills=self.looks)


def test_no_kill_falls_between_a_run_and_its_pause() -> None:
    outer = KillsAtEachLook([])
    kills = ContainerKills(outer)
    at_the_beginning = outer.looks
    for _ in range(3):
        kills.pause()
        kills.resume(lambda: True)
        assert kills.count() == outer.looks - at_the_beginning


def test_where_the_kernel_counts_nothing_nothing_is_said(tmp_path: Path) -> None:
    outer = OuterCgroup([Membership(2, ("memory", "pids"), str(tmp_path), str(tmp_path))])
    assert outer.counts() == Counts()
    assert outer.most_processes() is None
