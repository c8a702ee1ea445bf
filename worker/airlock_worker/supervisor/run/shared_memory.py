"""Counts the memory of several processes, with each shared page counted once. A thread does this, because it can take
seconds.

The kernel walks all page tables of a process to compute its share, and a script can make these large.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ...linux import kernel, processes

_KCMP_VM = 1
# Share of the time that counting may take. A count that took long delays the next one.
_SHARE = 0.05
# Seconds by which a count delays the next one at most, because the processes may turn shared pages into private ones
# meanwhile.
_LONGEST_PAUSE_S = 1.0


class SharedMemoryCount:
    """Counts one group of processes at a time, in a thread of its own."""

    def __init__(self, done: Callable[[dict[int, int]], None]) -> None:
        """`done` is called in the event loop with each process's share of the memory in bytes, by pid."""
        self._done = done
        self._reader: ThreadPoolExecutor | None = None
        # The count in progress; None between counts.
        self._running: _Count | None = None
        self._not_before = 0.0

    def begin(self, used: dict[int, int]) -> None:
        """Starts a count, unless one is in progress or has just ended. `used`: by pid, bytes of private memory."""
        if self._running is None and time.monotonic() >= self._not_before:
            self._reader = self._reader or ThreadPoolExecutor(1, "memory-of-a-run")
            count = _Count(used)
            try:
                future = asyncio.get_running_loop().run_in_executor(self._reader, count)
            except RuntimeError:
                # The kernel gives no thread for now. The next look tries again.
                self._reader = None
                self._not_before = time.monotonic() + _LONGEST_PAUSE_S
                return
            self._running = count
            future.add_done_callback(lambda counted: self._end(count, counted))

    def stop(self) -> None:
        """Ends the count in progress: `done` is not called until the next `begin`."""
        if self._running is not None:
            self._running.is_wanted = False
            self._running = None
        if self._reader is not None:
            self._reader.shutdown(wait=False)
            self._reader = None

    def _end(self, count: _Count, counted: asyncio.Future[dict[int, int]]) -> None:
        if self._running is count and not counted.cancelled():
            self._running = None
            self._not_before = time.monotonic() + min(_LONGEST_PAUSE_S, count.took_s / _SHARE)
            self._done(counted.result())


class _Count:
    def __init__(self, used: dict[int, int]) -> None:
        self._used = used
        self.is_wanted = True
        self.took_s = 0.0

    def __call__(self) -> dict[int, int]:
        began = time.thread_time()
        found: dict[int, int] = {}
        for pid in _without_those_in_their_parents_memory(self._used):
            if not self.is_wanted:
                break
            share = processes.of_a_thread(pid, partial(_own_share, self._used[pid]))
            # A process that ended during the count is counted as 0: its memory is free, or was its parent's, which is
            # counted there.
            found[pid] = 0 if share is None else share
        self.took_s = time.thread_time() - began
        return found


def _without_those_in_their_parents_memory(pids: Collection[int]) -> list[int]:
    """Leaves out processes that still use their parent's memory, because the kernel shows that memory for both.

    vfork makes such processes, until they call exec. Where the kernel cannot compare memories (kcmp), none is left out.
    """
    return [pid for pid in pids if not _is_in_memory_of(pid, processes.parent_of(pid), pids)]


def _is_in_memory_of(pid: int, parent: int, counted: Collection[int]) -> bool:
    if parent not in counted:
        return False
    one, other = (processes.of_a_thread(each, _with_memory) for each in (pid, parent))
    return one is not None and other is not None and kernel.syscall("kcmp", one, other, _KCMP_VM, 0, 0) == 0


def _with_memory(thread: int) -> int | None:
    return None if of_statm(thread) is None else thread


def _own_share(used: int, thread: int) -> int | None:
    """Bytes of memory of the thread's process: all of its private memory and its share of shared memory, without mapped
    files on disk. `used` where the kernel has no such file. None: the thread has ended.
    """
    try:
        with open(f"/proc/{thread}/smaps_rollup", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file.read().splitlines()[1:])
            return sum(int(fields[name].split()[0]) for name in (b"Pss_Anon", b"Pss_Shmem")) * 1024
    except ProcessLookupError:
        return None
    except (OSError, KeyError, ValueError):
        # The kernel has no smaps_rollup file, or the process has ended.
        return used if os.path.exists(f"/proc/{thread}") else None


@dataclass(frozen=True)
class Statm:
    """Memory of one process, in bytes, from /proc/PID/statm."""

    resident: int
    # Part of `resident` that other processes may share: of files and of shared mappings.
    shared: int
    # Writable memory that the process has asked for; 0 where this kernel does not report it.
    asked: int


def of_statm(thread: int) -> Statm | None:
    """Reads /proc/THREAD/statm. None: the thread has ended."""
    page = resource.getpagesize()
    try:
        with open(f"/proc/{thread}/statm", "rb") as file:
            size, resident, shared, _, _, asked, _ = (int(pages) * page for pages in file.read().split())
    except (OSError, ValueError):
        return None
    return Statm(resident, shared, asked) if size else None


@dataclass(frozen=True)
class Status:
    """Memory of one process, in bytes, from /proc/PID/status; 0 where this kernel does not report it."""

    # Shared memory; mapped files such as libraries are left out, because they are no memory of the run.
    shared: int = 0
    # Page tables, which are the kernel's memory and not the process's.
    tables: int = 0


def of_status(pid: int) -> Status:
    return processes.of_a_thread(pid, _of_status) or Status()


def _of_status(thread: int) -> Status | None:
    fields: dict[bytes, int] = {}
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{thread}/status", "rb") as file:
        for line in file:
            name, _, value = line.partition(b":")
            if name in (b"VmSize", b"RssShmem", b"VmPTE"):
                fields[name] = int(value.split()[0]) * 1024
    return Status(fields.get(b"RssShmem", 0), fields.get(b"VmPTE", 0)) if fields else None
