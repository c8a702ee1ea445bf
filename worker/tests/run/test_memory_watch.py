"""The supervisor goes on with its other work while it counts what the processes of a run share."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from airlock_worker.linux import processes
from airlock_worker.linux.process_handle import ProcessHandle
from airlock_worker.supervisor.run.ending import Ending
from airlock_worker.supervisor.run.memory_watch import MemoryWatch
from airlock_worker.wire.limits import Limits

from ..harness import MIB

CHILDREN = 10
# Each child maps the same 2 MB so often that the kernel needs long to say what it shares, which is next to nothing.
LARGE_PAGE_TABLES = f"""
import mmap, os, time
{{before}}
fd = os.memfd_create("file")
os.ftruncate(fd, 2 << 20)
held = []
for _ in range({CHILDREN}):
    if os.fork() == 0:
        {{each}}
        print(end=".", flush=True)
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""
MAPS_MUCH = "for _ in range(2048): held.append(mmap.mmap(fd, 2 << 20, flags=mmap.MAP_SHARED | 0x8000, prot=1))"
# One page in each two megabytes: a page table for each page.
MAPS_SPARSELY = """
        import ctypes
        at = ctypes.CDLL(None).mmap
        at.argtypes, at.restype = [ctypes.c_size_t] * 6, ctypes.c_size_t
        for n in range(4096): at((1 << 45) + (n << 21), 4096, 1, 0x108001, fd, 0)
"""


@asynccontextmanager
async def started(code: str) -> AsyncIterator[int]:
    """The pid of a script, once each of its children has done its part."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert await process.stdout.readexactly(CHILDREN) == b"." * CHILDREN
        yield process.pid
    finally:
        processes.kill_tree(ProcessHandle(process.pid, None))
        await process.wait()


def watch_of(pid: int, memory_bytes: int, rung: list[Ending]) -> MemoryWatch:
    limits = Limits(1, 1, memory_bytes=memory_bytes, disk_bytes=MIB, pids=64, cpus=1)
    return MemoryWatch(
        ProcessHandle(pid, None), is_init=False, limits=limits, base=0, count_kills=lambda: None, ring=rung.append
    )


async def longest_stall_s(for_s: float) -> float:
    """For how long at most the event loop did nothing else."""
    longest = 0.0
    last = began = time.perf_counter()
    while last - began < for_s:
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def time_to_count_s(root: int) -> float:
    began = time.perf_counter()
    for pid in [root, *processes.descendants_of(root)]:
        Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    return time.perf_counter() - began


async def test_page_tables_that_take_long_to_read_hold_nothing_up() -> None:
    rung: list[Ending] = []
    # What the parent had before it forked is in all of them: the sum is beyond the limit, until it is counted once.
    code = LARGE_PAGE_TABLES.format(before="x = bytearray(b'x') * (120 << 20)", each=MAPS_MUCH)
    async with started(code) as pid:
        whole_s = time_to_count_s(pid)
        watch = watch_of(pid, 600 * MIB, rung)
        watch.start()
        stall_s = await longest_stall_s(for_s=3 * whole_s + 0.5)
        watch.stop()
    assert rung == []
    assert stall_s < whole_s / 3, (stall_s, whole_s)


async def test_page_tables_are_memory_of_the_run() -> None:
    rung: list[Ending] = []
    # 16 MB in each child, and nothing else.
    async with started(LARGE_PAGE_TABLES.format(before="", each=MAPS_SPARSELY)) as pid:
        watch = watch_of(pid, 64 * MIB, rung)
        watch.start()
        for _ in range(100):
            await asyncio.sleep(0.05)
            if rung:
                break
        watch.stop()
    assert [each.end for each in rung] == ["out_of_memory"]
    assert int(rung[0].error.split("They used ")[1].split(" MB")[0]) in range(160, 400), rung
