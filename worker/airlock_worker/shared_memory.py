"""What processes use together, each page counted once: read apart from the event loop, because it can take seconds.

The kernel walks through all page tables of a process to tell its share, and a script can make these large.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import kernel, processes

_KCMP_VM = 1
# Counting takes at most this part of the time,
_SHARE = 0.05
# unless the next count would be later than this: meanwhile the processes may make pages their own.
_LONGEST_PAUSE_S = 1.0


class SharedMemoryCount:
    """Counts one group of processes at a time, and tells when it is done."""

    def __init__(self, done: Callable[[dict[int, int]], None]) -> None:
        """`done` is given each process's part of the memory in bytes, by pid."""
        self._done = done
        self._reader: ThreadPoolExecutor | None = None
        # The count that runs.
        self._running: _Count | None = None
        self._not_before = 0.0

    def begin(self, used: dict[int, int]) -> None:
        """Unless a count runs, or has just been. `used`: by pid what each process has of its own, in bytes."""
        if self._running is None and time.monotonic() >= self._not_before:
            self._reader = self._reader or ThreadPoolExecutor(1, "memory-of-a-run")
            self._running = count = _Count(used)
            future = asyncio.get_running_loop().run_in_executor(self._reader, count)
            future.add_done_callback(lambda counted: self._end(count, counted))

    def stop(self) -> None:
        """`done` is not called any more, until `begin`."""
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
            found[pid] = _own_share(pid, self._used[pid])
        self.took_s = time.thread_time() - began
        return found


def _without_those_in_their_parents_memory(pids: Collection[int]) -> list[int]:
    """A program is started by vfork: until its exec a process has the very memory of its parent, and the kernel shows
    all of it for both. Where the kernel does not compare memories (kcmp), all are counted."""
    return [pid for pid in pids if not _is_in_memory_of(pid, processes.parent_of(pid), pids)]


def _is_in_memory_of(pid: int, parent: int, counted: Collection[int]) -> bool:
    return parent in counted and kernel.syscall("kcmp", pid, parent, _KCMP_VM, 0, 0) == 0


def _own_share(pid: int, used: int) -> int:
    """Its memory, of what it shares with others a part; files that it maps and that are no memory left out."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file.read().splitlines()[1:])
            return sum(int(fields[name].split()[0]) for name in (b"Pss_Anon", b"Pss_Shmem")) * 1024
    except ProcessLookupError:
        # It has ended, and may have used its parent's memory until then.
        return 0
    except (OSError, KeyError, ValueError):
        # A kernel without the file; or the process is gone.
        return used if os.path.exists(f"/proc/{pid}") else 0


@dataclass(frozen=True)
class Status:
    """Of one process, in bytes; 0 where this kernel does not tell."""

    # Memory that is mapped shared: what is no memory, such as libraries, left out.
    shared: int
    # Page tables, which are the kernel's own memory.
    tables: int


def of_status(pid: int) -> Status:
    fields = {b"RssShmem": 0, b"VmPTE": 0}
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            name, _, value = line.partition(b":")
            if name in fields:
                fields[name] = int(value.split()[0]) * 1024
    return Status(fields[b"RssShmem"], fields[b"VmPTE"])
