"""Counts a run's processes now and then: where the kernel holds no limit on them, a fork bomb still ends early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ...linux import processes

_INTERVAL_S = 0.2


class ProcessCount:
    def __init__(self, pid: int, limit: int, ring: Callable[[], None]) -> None:
        self._pid = pid
        self._limit = limit
        self._ring = ring
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(_INTERVAL_S, self._count)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _count(self) -> None:
        self._next = None
        # One more: where there is a pid namespace, its process 1 stands above the script.
        if processes.more_than(self._limit + 1, self._pid):
            self._ring()
        else:
            self.start()
