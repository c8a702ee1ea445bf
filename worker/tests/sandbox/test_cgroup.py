"""The limits of a run as a whole, by the kernel that the tests run on. Only what root may do: see posture.py."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from airlock_worker.cgroups.cgroup_membership import memberships
from airlock_worker.linux import processes

from ..harness import MIB, Worker, named, worker

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user may make no cgroups")

BOMBS = {
    "memfds": """
import os
while True: os.write(os.memfd_create("m"), b"x" * (16 << 20))
""",
    "System V segments": """
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
while True:
    place = libc.shmat(libc.shmget(0, 16 << 20, 0o1600), None, 0)
    ctypes.memset(place, 1, 16 << 20)
    libc.shmdt(ctypes.c_void_p(place))
""",
}
HOG = """
import os, time
first, began = os.getpid(), time.monotonic()
for _ in range(2): os.fork()
if os.getpid() == first: llm.complete("look")
spent = time.process_time()
while time.process_time() - spent < 0.06: pass
try:
    while True: os.wait()
except ChildProcessError: pass
if os.getpid() != first: os._exit(0)
set_result(sum(os.times()[:4]) / (time.monotonic() - began))
"""


def _directory(pid: int, controller: str) -> Path:
    [found] = [membership.directory for membership in memberships(pid) if controller in membership.controllers]
    return Path(found)


async def _directories(target: Worker) -> list[Path]:
    """Of a worker that has spares, one in each tree."""
    async with asyncio.timeout(10):
        while True:
            # Not of a run that is just going, or of a spare that has not come to its own yet.
            for child in processes.children_of(target.template()):
                places = [Path(membership.directory) for membership in memberships(child)]
                if places and all(place.name.startswith("run-") for place in places):
                    return [place.parent for place in places]
            await asyncio.sleep(0.02)


async def _spares(target: Worker) -> list[int]:
    """When there are as many as there should be."""
    async with asyncio.timeout(10):
        while len(found := processes.children_of(target.template())) != 2:
            await asyncio.sleep(0.02)
    return found


def _is_free(home: Path) -> bool:
    """Nobody holds it, and nobody is in it."""
    descriptor = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return not any(file.read_text() for file in home.glob("*/cgroup.procs"))


@pytest.mark.parametrize("name", BOMBS)
async def test_memory_that_no_limit_of_a_process_counts_ends_as_out_of_memory(name: str) -> None:
    async with worker(memory_bytes=64 * MIB, disk_bytes=32 * MIB) as target:
        zygote = target.zygote()
        for _ in range(2):
            ended = await target.run(BOMBS[name])
            assert ended.end == "out_of_memory", ended
            assert ended.error == (
                "The kernel killed the script for lack of memory: all processes of a run together may have 64 MB, "
                "and its files 32 MB (memory_mb and disk_mb in the project's limits). All was used."
            )
            # What the kernel gives back late is not missing to the next.
            assert (await target.run("x = bytearray(50 << 20); set_result(1)")).value == 1
        assert target.zygote() == zygote
        assert (await target.until_state("READY")).detail == ""


async def test_what_all_processes_together_take_counts() -> None:
    code = """
import os, signal
for _ in range(8):
    if os.fork() == 0:
        x = bytearray(40 << 20)
        signal.pause()
_, status = os.wait()
raise RuntimeError(f"a child ended with {status}")
"""
    async with worker(memory_bytes=64 * MIB, disk_bytes=32 * MIB) as target:
        for _ in range(5):
            # The script may raise its own error before the supervisor has seen the kill.
            ended = await target.run(code)
            assert ended.end == "out_of_memory", ended
            assert "for lack of memory: all processes of a run together may have 64 MB" in (ended.error or "")


# Each job counts a quarter of the rows. Version 1 of cgroups kills one process at a time, version 2 all of the run.
JOBS = """
import subprocess, sys
job = "import sys, time; rows = bytearray(75 << 20); time.sleep({seconds}); print(250)"
jobs = [subprocess.Popen([sys.executable, "-c", job], stdout=subprocess.PIPE, text=True) for _ in range(4)]
set_result(sum(int(line) for each in jobs for line in each.stdout))
"""


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_script_that_goes_on_without_its_killed_processes_does_not_complete(seconds: float) -> None:
    async with worker(memory_bytes=128 * MIB, disk_bytes=32 * MIB) as target:
        for _ in range(3):
            ended = await target.run(JOBS.format(seconds=seconds))
            assert (ended.end, ended.result) in (("out_of_memory", None), ("completed", "1000")), ended
            if seconds:
                assert ended.end == "out_of_memory"
        assert (await target.run("set_result(1)")).value == 1
        assert (await target.until_state("READY")).detail == ""


async def test_files_within_the_disk_limit_are_charged_to_the_run_and_kill_nobody() -> None:
    code = named("filled") + (
        "for n in range(5): open(f'/tmp/{n}', 'wb').write(b'x' * (30 << 20))\n"
        "x = bytearray(50 << 20)\nprint('full')\nllm.complete('q')"
    )
    async with worker(memory_bytes=64 * MIB, disk_bytes=160 * MIB) as target:
        call = await target.start(code)
        question = await call.until_question()
        [pid] = target.pids_named("filled")
        directory = _directory(pid, "memory")
        usage = next(
            file for name in ("memory.current", "memory.usage_in_bytes") if (file := directory / name).exists()
        )
        assert 200 * MIB < int(usage.read_text()) < 320 * MIB
        await call.answer(question.id, "")
        assert (await call.finish()).end == "completed"


async def test_a_run_takes_no_more_cpus_than_its_limit() -> None:
    # So little that a machine full of other work gives it, too.
    async with worker(cpus=0.1) as target:
        call = await target.start(named("hog") + HOG, timeout_ms=50_000)
        question = await call.until_question()
        directory = _directory(target.pids_named("hog")[0], "cpu")
        await call.answer(question.id, "")
        ended = await call.finish()
        assert ended.end == "completed"
        throttled = dict(line.split() for line in (directory / "cpu.stat").read_text().splitlines())
        assert int(throttled["nr_throttled"]) >= 5
        # Of 0.24 seconds of processor time, what the first moment gives away weighs less than half.
        assert ended.value < 0.2


async def test_a_run_sees_nothing_of_its_cgroup() -> None:
    code = """
import os
paths = {line.split(":", 2)[2].strip() for line in open("/proc/self/cgroup")}
set_result([sorted(paths), os.path.exists("/sys")])
"""
    async with worker() as target:
        assert (await target.run(code)).value == [["/"], False]


async def test_runs_share_a_few_cgroups_and_a_stopped_worker_leaves_none() -> None:
    async with worker() as target:
        await target.run("pass")
        homes = await _directories(target)
        assert homes
        for _ in range(40):
            assert (await target.run("pass")).end == "completed"
        for home in homes:
            assert len([path for path in home.iterdir() if path.is_dir()]) <= 6
    assert not [home for home in homes if home.exists()]


async def test_cgroups_of_a_dead_worker_are_removed_by_the_next_and_those_of_a_living_one_are_not() -> None:
    async with worker() as alive:
        spares = await _spares(alive)
        async with worker() as dead:
            await _spares(dead)
            left = await _directories(dead)
            dead.process.kill()
            await dead.process.wait()
            async with asyncio.timeout(5):
                while not all(_is_free(home) for home in left):
                    await asyncio.sleep(0.02)
            async with worker() as successor:
                assert not [home for home in left if home.exists()]
                assert (await successor.run("set_result(1)")).value == 1
        assert await _spares(alive) == spares
        assert (await alive.run("set_result(1)")).value == 1


async def test_without_its_cgroup_no_script_starts() -> None:
    # The kernel refuses while a spare is being made.
    read_only = """
for mount in $(grep -E " cgroup2? " /proc/mounts | cut -d" " -f2)
do until mount -o remount,bind,ro $mount 2>/dev/null; do sleep 0.01; done
done"""
    async with worker(wrapper=("unshare", "--mount")) as target:
        assert (await target.run("pass")).end == "completed"
        command = ("nsenter", f"--mount=/proc/{target.process.pid}/ns/mnt", "sh", "-ec", read_only)
        assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
        # Spares for new limits cannot be limited any more.
        await target.provision(pids=20)
        ended = await target.run("pass")
        assert ended.end == "start_failed"
        assert "Read-only file system" in (ended.error or "")
