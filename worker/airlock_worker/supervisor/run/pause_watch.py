"""Checks every 1 to 2 seconds that a paused run stands still, because a timer of the script's may have woken it
(SIGCONT).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable

from ...linux import processes

# Seconds between two looks at the run's processes, a random number each time, because a script that knew the moment of
# the next look could be still by then.
_SHORTEST_S, _LONGEST_S = 1.0, 2.0
# Seconds of CPU time that a process may still use while it is being stopped.
_STILL_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class PauseWatch:
    def __init__(self, pid: int, *, is_init: bool, ring: Callable[[], None]) -> None:
        """`ring` is called once, when processes of the run have used the CPU, ended, or started others since `start`.
        `is_init`: the process is process 1 of the run's namespace, which keeps running and reaps orphans.
        """
        self._pid = pid
        self._is_init = is_init
        self._ring = ring
        # CPU time that each process had used when the pause began, in clock ticks, by pid.
        self._ticks: dict[int, int] = {}
        # Timer of the next look; None while the run is not watched.
        self._next: asyncio.TimerHandle | None = None
        self._has_rung = False
        # CPU time that processes have used in pauses that ended without a ring, in clock ticks.
        self._used = 0

    def start(self) -> None:
        """Begins to watch. Call it after the run was frozen."""
        self._ticks = self._seen()
        self._has_rung = False
        self._look_later()

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def has_moved(self) -> bool:
        """Whether any process of the run has used the CPU, ended or been started since `start`."""
        return self._has_rung or self._seen().keys() != self._ticks.keys()

    def is_awake_at_end(self) -> bool:
        """Whether the run moved in a pause that ends now, before a look has noticed it. What its processes used in
        earlier pauses counts too, because a run may ask so often that each pause is short. Call it once, before the
        run goes on.
        """
        if self._has_rung:
            return False
        try:
            seen = self._seen()
        except OSError:
            return False
        used = self._used_in(seen)
        self._used += used
        return seen.keys() != self._ticks.keys() or (used > 0 and self._used > _STILL_S * _TICKS_PER_S)

    def lost_processes(self) -> int:
        """Number of processes of the run that have ended since `start`."""
        return len(self._ticks.keys() - self._seen().keys())

    def _look_later(self) -> None:
        delay_s = random.uniform(_SHORTEST_S, _LONGEST_S)
        self._next = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _look(self) -> None:
        self._next = None
        try:
            seen = self._seen()
        except OSError:
            # There are no file descriptors left for a moment.
            self._look_later()
            return
        if seen.keys() != self._ticks.keys() or self._used_in(seen) > _STILL_S * _TICKS_PER_S:
            self._has_rung = True
            self._ring()
        else:
            self._look_later()

    def _used_in(self, seen: dict[int, int]) -> int:
        """CPU ticks that the run's processes have used since `start`."""
        # CPU times are compared process by process, because a process that has ended must not leave its share to the
        # others.
        return sum(ticks - self._ticks.get(pid, 0) for pid, ticks in seen.items())

    def _seen(self) -> dict[int, int]:
        """CPU ticks, by pid, of each living process of the run and of its children that have ended."""
        pids = {self._pid, *processes.descendants_of(self._pid)}
        return {pid: self._ticks_of(pid) for pid in pids if processes.exists(pid)}

    def _ticks_of(self, pid: int) -> int:
        return processes.cpu_ticks_of(pid, and_children=not (self._is_init and pid == self._pid))
