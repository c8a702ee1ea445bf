"""Looks now and then whether a paused run stands still, because a timer of its own may have woken it (SIGCONT)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from . import processes

_INTERVAL_S = 2.0
# What a process that is being stopped may still use.
_STILL_S = 0.05


class PauseWatch:
    def __init__(self, pid: int, ring: Callable[[], None]) -> None:
        """`ring` is called once, when processes of the run have used the CPU or started others since `start`."""
        self._pid = pid
        self._ring = ring
        self._members: set[int] = set()
        self._cpu_s = 0.0
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Once the run is stopped."""
        self._members, self._cpu_s = self._seen()
        self._look_later()

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look_later(self) -> None:
        self._next = asyncio.get_running_loop().call_later(_INTERVAL_S, self._look)

    def _look(self) -> None:
        self._next = None
        members, cpu_s = self._seen()
        if members - self._members or cpu_s > self._cpu_s + _STILL_S:
            self._ring()
        else:
            self._look_later()

    def _seen(self) -> tuple[set[int], float]:
        """The processes, and what they and their children that have ended used of the CPU."""
        members = {self._pid, *processes.descendants_of(self._pid)}
        return members, sum(map(processes.cpu_ticks_of, members)) / os.sysconf("SC_CLK_TCK")
