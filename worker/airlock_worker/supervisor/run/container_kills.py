"""Counts the processes that the kernel killed in the worker's container, and that may have been one run's.

Where a run has no cgroup of its own, the kernel counts the kills of all runs of the worker together. It may kill a
process of a script that goes on, so a script that completes may have lost one.
"""

from __future__ import annotations

from collections.abc import Callable

from ...cgroups.outer_cgroup import OuterCgroup


class ContainerKills:
    def __init__(self, outer: OuterCgroup) -> None:
        self._outer = outer
        # The kernel's count of kills in the container at a moment after which kills may have been of the run's
        # processes: the run's start, its last pause, or the end of a pause in which it stood still.
        self._since = outer.counts().oom_kills
        # Kills that were counted before `_since`, while the run was not paused.
        self._before = 0

    def pause(self) -> None:
        """Notes that the run is paused from now on. Call it when the run is frozen."""
        # The counter is read once for both fields, so that no kill falls between two readings.
        now = self._outer.counts().oom_kills
        self._before += max(0, now - self._since)
        self._since = now

    def resume(self, has_moved: Callable[[], bool]) -> None:
        """Call it before the run goes on. `has_moved`: tells whether processes of the run ran or ended in the pause. If
        none did, the kills in the pause were of other runs and are not counted.
        """
        now = self._outer.counts().oom_kills
        if now != self._since and not has_moved():
            self._since = now

    def in_pause(self) -> int:
        """Number of kills since the pause began, of any run's processes."""
        return max(0, self._outer.counts().oom_kills - self._since)

    def count(self) -> int:
        """Number of kills that may have been of the run's processes."""
        return self._before + self.in_pause()
