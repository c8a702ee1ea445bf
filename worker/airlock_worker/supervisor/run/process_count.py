"""Counts a run's processes every 0.2 s, so that a fork bomb ends early where the kernel enforces no limit on them."""

from __future__ import annotations

import asyncio
import contextlib
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

    def look_now(self) -> None:
        """Counts at once, because the run has moved unseen."""
        if self._next is not None:
            self._next.cancel()
            self._count()

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _count(self) -> None:
        self._next = None
        if self._is_crowded():
            self._ring()
        else:
            self.start()

    def _is_crowded(self) -> bool:
        # An error means that there are no file descriptors left for a moment.
        with contextlib.suppress(OSError):
            # One process more than the limit is allowed, because process 1 of a pid namespace is not the script's.
            return processes.more_than(self._limit + 1, self._pid)
        return False
