"""Holds a run to its memory limit where the kernel does not.

The kernel can limit only the memory that a process asks for (RLIMIT_DATA), and much of that is never used: stacks of
threads, reserves of allocators. So each process's limit is reset at every look, to what it has asked for plus what it
may still use. A script that reaches the limit gets a MemoryError at the call that asked. A process that grows faster
than the looks come is stopped. So is a run whose processes together use too much, unless a cgroup counts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from resource import RLIMIT_DATA

from ...linux import processes
from ...linux.limits_of_others import limit
from ...linux.process_handle import ProcessHandle
from ...sandbox.privileges import REPORTING_BYTES, allowance
from ...wire.limits import Limits
from . import ending, shared_memory
from .ending import Ending
from .shared_memory import SharedMemoryCount

_FIRST_LOOK_S = 0.01
_INTERVAL_S = 0.02
# Share of the supervisor's time that looking at one run's memory may take. A look that takes long delays the next one.
_SHARE = 0.05
# Seconds that a process may stay above its limit before the run is stopped: time for the script to get a MemoryError
# and to report it.
_GRACE_S = 0.25
# Page tables are read at every tenth look, and whenever the run seems to use too much.
_LOOKS_AT_TABLES = 10
# Page tables of one process that its program and packages need, in bytes; not counted against the run.
_USUAL_TABLES_BYTES = 2 << 20


@dataclass(frozen=True)
class _Process:
    pid: int
    # Writable memory that the process has asked for, in bytes; 0 where this kernel does not report it.
    asked: int
    # Private memory that the process uses, in bytes, without what every run has before its script.
    used: int
    # Memory that the process uses and other processes may share, in bytes: of files and of shared mappings.
    shared: int


class MemoryWatch:
    def __init__(
        self,
        root: ProcessHandle,
        *,
        is_init: bool,
        limits: Limits,
        base: int,
        count_kills: Callable[[], int | None],
        ring: Callable[[Ending], None],
    ) -> None:
        """`base`: bytes that each run's process has in memory before its script. `count_kills`: how many of the run's
        processes the kernel has killed for lack of memory; None where it does not count them. `ring` is called with the
        ending when the run uses too much, or has lost a process.
        """
        self._root = root
        self._is_init = is_init
        self._limits = limits
        # Bytes that all processes of the run may use together.
        self._most = limits.memory_bytes + limits.disk_bytes + REPORTING_BYTES
        self._base = base
        self._count_kills = count_kills
        self._ring = ring
        # Processes that are above their limit, by pid: when each was first seen so, in seconds of the monotonic clock.
        self._beyond: dict[int, float] = {}
        self._count = SharedMemoryCount(self._on_counted)
        # Bytes of page tables of each process beyond `_USUAL_TABLES_BYTES`, by pid.
        self._tables: dict[int, int] = {}
        self._looks = 0
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(_FIRST_LOOK_S, self._look)

    def look_now(self) -> None:
        """Looks at once, because the run has moved unseen."""
        if self._next is not None:
            self._next.cancel()
            self._look()

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._count.stop()

    def _look(self) -> None:
        began = time.perf_counter()
        why = None
        # An error means that there are no file descriptors left for a moment.
        with contextlib.suppress(OSError):
            why = self._problem()
        if why is not None:
            self.stop()
            self._ring(why)
            return
        delay_s = max(_INTERVAL_S, (time.perf_counter() - began) / _SHARE)
        self._next = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _problem(self) -> Ending | None:
        limits = self._limits
        root = self._root.pid
        pids = processes.descendants_of(root)
        if not self._root.is_there():
            # The run's first process has ended, so its pid may belong to another process now, whose limits must not be
            # changed.
            return None
        if self._count_kills():
            # The kernel has killed a process of the run: with version 1 of cgroups it kills one and not the whole run.
            # The run is ended, because the script may not notice that and compute with what is left.
            return ending.of_memory(limits)
        found = [each for pid in (pids if self._is_init else [root, *pids]) if (each := self._seen(pid))]
        most = self._most
        for process in found:
            if process.asked:
                _limit(process, limits)
            if process.used > most or self._is_long_beyond(process):
                return ending.of_process_memory(process.used, limits)
        if self._may_be_beyond_together(found):
            self._count.begin({process.pid: process.used for process in found})
        return None

    def _may_be_beyond_together(self, found: list[_Process]) -> bool:
        """Whether the run's processes would use too much if they shared no memory. Only then is their shared memory
        counted, because that takes longer.
        """
        self._looks += 1
        is_over = self._sum_of(found, {}) > self._most
        if not is_over and self._looks % _LOOKS_AT_TABLES != 1:
            return False
        statuses = {process.pid: shared_memory.of_status(process.pid) for process in found}
        self._tables = {pid: max(0, status.tables - _USUAL_TABLES_BYTES) for pid, status in statuses.items()}
        return self._sum_of(found, {pid: status.shared for pid, status in statuses.items()}) > self._most

    def _sum_of(self, found: list[_Process], shared: dict[int, int]) -> int:
        """Bytes that the processes use together. `shared`: by pid, how many bytes of the process's shared memory are
        real memory; all of it for a process without an entry.
        """
        return sum(
            process.used
            + min(process.shared, shared.get(process.pid, process.shared))
            + self._tables.get(process.pid, 0)
            for process in found
        )

    def _on_counted(self, shares: dict[int, int]) -> None:
        pids = [self._root.pid, *processes.descendants_of(self._root.pid)]
        if self._next is None or not self._root.is_there():
            return
        # Only processes that still exist are counted. The share of one that has ended is missing then, because its
        # shared memory may now be counted with those that shared it.
        used = sum(shares[pid] + self._tables.get(pid, 0) for pid in pids if pid in shares) - self._base
        if used > self._most:
            self.stop()
            self._ring(ending.of_run_memory(used, self._limits))

    def _is_long_beyond(self, process: _Process) -> bool:
        if process.used <= self._limits.memory_bytes + REPORTING_BYTES:
            self._beyond.pop(process.pid, None)
            return False
        now = time.monotonic()
        return now - self._beyond.setdefault(process.pid, now) > _GRACE_S

    def _seen(self, pid: int) -> _Process | None:
        found = processes.of_a_thread(pid, shared_memory.of_statm)
        if found is None:
            # The process has ended, so it has no memory to count.
            return None
        return _Process(pid, found.asked, max(0, found.resident - found.shared - self._base), found.shared)


def _limit(process: _Process, limits: Limits) -> None:
    # An error means that the process has ended, or belongs to a user whose limits this process may not set. The memory
    # watch stops it all the same when it uses too much.
    with contextlib.suppress(OSError, ValueError):
        soft, hard = limit(process.pid, RLIMIT_DATA)
        # A soft limit that equals the hard one is left alone: the process has lifted it to report a MemoryError, or the
        # script set it.
        if soft != hard:
            wanted = process.asked + allowance(limits, process.used)
            limit(process.pid, RLIMIT_DATA, min(wanted, hard - 1))
