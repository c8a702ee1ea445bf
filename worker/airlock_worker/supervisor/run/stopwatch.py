"""The clock of a run: counts only while the script may run, and calls `ring` when the run's time is used up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Stopwatch:
    def __init__(self, timeout_ms: int, ring: Callable[[], None]) -> None:
        self._timeout_s = timeout_ms / 1000
        self._ring = ring
        self._elapsed_s = 0.0
        self._started_at: float | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._started_at is None:
            self._started_at = time.monotonic()
            left_s = max(self._timeout_s - self._elapsed_s, 0)
            self._alarm = asyncio.get_running_loop().call_later(left_s, self._ring)

    def stop(self) -> None:
        if self._started_at is not None and self._alarm is not None:
            self._elapsed_s += time.monotonic() - self._started_at
            self._started_at = None
            self._alarm.cancel()

    def add(self, seconds: float) -> None:
        """Counts a time in which the script ran while the clock stood still. Call it while it stands still."""
        self._elapsed_s += seconds

    def elapsed_ms(self) -> int:
        return round(self._elapsed_s * 1000)
