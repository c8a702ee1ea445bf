"""Looks now and then whether a paused run stands still, because a timer of its own may have woken it (SIGCONT)."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable

from ...linux import processes

# A script that knew the moment of the next look could be still by then.
_SHORTEST_S, _LONGEST_S = 1.0, 2.0
# What a process that is being stopped may still use.
_STILL_S = 0.05


class PauseWatch:
    def __init__(self, pid: int, *, is_init: bool, ring: Callable[[], None]) -> None:
        """`ring` is called once, when processes of the run have used the CPU, ended, or started others since `start`.
        `is_init`: whether the process goes on, and reaps what has ended before."""
        self._pid = pid
        self._is_init = is_init
        self._ring = ring
        # By pid, what each process has used of the CPU.
        self._ticks: dict[int, int] = {}
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Once the run is stopped."""
        self._ticks = self._seen()
        self._look_later()

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look_later(self) -> None:
        delay_s = random.uniform(_SHORTEST_S, _LONGEST_S)
        self._next = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _look(self) -> None:
        self._next = None
        seen = self._seen()
        # Process by process: what one that has ended had used is no time that the others may use.
        used = sum(ticks - self._ticks.get(pid, 0) for pid, ticks in seen.items())
        if seen.keys() != self._ticks.keys() or used > _STILL_S * os.sysconf("SC_CLK_TCK"):
            self._ring()
        else:
            self._look_later()

    def _seen(self) -> dict[int, int]:
        """Of the processes that have not ended: what they, and their children that have, used of the CPU."""
        pids = {self._pid, *processes.descendants_of(self._pid)}
        return {pid: self._ticks_of(pid) for pid in pids if processes.exists(pid)}

    def _ticks_of(self, pid: int) -> int:
        return processes.cpu_ticks_of(pid, and_children=not (self._is_init and pid == self._pid))
