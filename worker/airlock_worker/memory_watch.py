"""Sees to it that a run uses no more memory than it may, as far as the kernel does not.

What the kernel limits for one process is what the process has asked for (RLIMIT_DATA), and much of that is never used:
the stacks of threads, what allocators keep in reserve. So the limit of each process is set anew all the time, to what
it has asked for and what it may still use. A script that comes to it gets a MemoryError where it asked. A process that
grows faster than it is looked at is stopped, and so is a run whose processes together use too much where no cgroup
counts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from resource import RLIMIT_DATA

from . import kernel, processes, verdict
from .limits_of_others import limit
from .privileges import REPORTING_BYTES, allowance
from .process_handle import ProcessHandle
from .room import Limits
from .verdict import Verdict

_FIRST_LOOK_S = 0.01
_INTERVAL_S = 0.02
# Looking takes at most this part of the time.
_SHARE = 0.05
# From the moment in which a process is seen beyond its limit: time for its MemoryError, and to tell of that.
_GRACE_S = 0.25

_KCMP_VM = 1


@dataclass(frozen=True)
class _Process:
    pid: int
    # All that it has asked for and may write to; 0 where this kernel does not tell.
    asked: int
    # What of it is there, beyond what every run has before its script.
    used: int
    # What it has of memory that can be another's too: of files, and of what processes share.
    shared: int


class MemoryWatch:
    def __init__(
        self, root: ProcessHandle, *, is_init: bool, limits: Limits, base: int, ring: Callable[[Verdict], None]
    ) -> None:
        """`base`: what every process of a run has in memory before its script."""
        self._root = root
        self._is_init = is_init
        self._limits = limits
        self._base = base
        self._ring = ring
        # By pid, when each process that uses too much was first seen to.
        self._beyond: dict[int, float] = {}
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(_FIRST_LOOK_S, self._look)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        began = time.perf_counter()
        why = self._problem()
        if why is not None:
            self._next = None
            self._ring(why)
            return
        delay_s = max(_INTERVAL_S, (time.perf_counter() - began) / _SHARE)
        self._next = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _problem(self) -> Verdict | None:
        limits = self._limits
        root = self._root.pid
        pids = processes.descendants_of(root)
        if not self._root.is_there():
            # They may be another's: a limit must not be set for them.
            return None
        found = [each for pid in (pids if self._is_init else [root, *pids]) if (each := self._seen(pid))]
        most = limits.memory_bytes + limits.disk_bytes + REPORTING_BYTES
        for process in found:
            if process.asked:
                _limit(process, limits)
            if process.used > most or self._is_long_beyond(process):
                return verdict.of_process_memory(process.used, limits)
        # What they share is counted once, and read files not at all: that takes longer.
        if sum(process.used + process.shared for process in found) <= most:
            return None
        if sum(process.used + min(process.shared, _shared_memory_of(process.pid)) for process in found) <= most:
            return None
        counted = _without_those_in_their_parents_memory(found)
        used = sum(_own_share(process) for process in counted) - self._base
        return verdict.of_run_memory(used, limits) if used > most else None

    def _is_long_beyond(self, process: _Process) -> bool:
        if process.used <= self._limits.memory_bytes + REPORTING_BYTES:
            self._beyond.pop(process.pid, None)
            return False
        now = time.monotonic()
        return now - self._beyond.setdefault(process.pid, now) > _GRACE_S

    def _seen(self, pid: int) -> _Process | None:
        page = resource.getpagesize()
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                _, resident, shared, _, _, asked, _ = (int(pages) * page for pages in file.read().split())
        except (OSError, ValueError):
            # Gone meanwhile.
            return None
        return _Process(pid, asked, max(0, resident - shared - self._base), shared)


def _limit(process: _Process, limits: Limits) -> None:
    # Gone, or of a user whose limits are not ours to set: then what it uses is still watched.
    with contextlib.suppress(OSError, ValueError):
        soft, hard = limit(process.pid, RLIMIT_DATA)
        # One that is telling of its MemoryError has what there is, and one that the script made stays.
        if soft != hard:
            wanted = process.asked + allowance(limits, process.used)
            limit(process.pid, RLIMIT_DATA, min(wanted, hard - 1))


def _without_those_in_their_parents_memory(found: list[_Process]) -> list[_Process]:
    """A program is started by vfork: until its exec a process has the very memory of its parent, and the kernel shows
    all of it for both. Where the kernel does not compare memories (kcmp), all are counted."""
    pids = {process.pid for process in found}
    return [process for process in found if not _is_in_memory_of(process.pid, processes.parent_of(process.pid), pids)]


def _is_in_memory_of(pid: int, parent: int, counted: set[int]) -> bool:
    return parent in counted and kernel.syscall("kcmp", pid, parent, _KCMP_VM, 0, 0) == 0


def _shared_memory_of(pid: int) -> int:
    """What the process has of memory that is mapped shared. 0 where this kernel does not tell."""
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"RssShmem:"):
                return int(line.split()[1]) * 1024
    return 0


def _own_share(process: _Process) -> int:
    """Its memory, of what it shares with others a part; files that it maps and that are no memory left out."""
    try:
        with open(f"/proc/{process.pid}/smaps_rollup", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file.read().splitlines()[1:])
            return sum(int(fields[name].split()[0]) for name in (b"Pss_Anon", b"Pss_Shmem")) * 1024
    except ProcessLookupError:
        # It has ended, and may have used its parent's memory until then.
        return 0
    except (OSError, KeyError, ValueError):
        # A kernel without the file; or the process is gone.
        return process.used if os.path.exists(f"/proc/{process.pid}") else 0
