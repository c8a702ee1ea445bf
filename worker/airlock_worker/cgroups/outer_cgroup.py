"""Reads the kernel's counters for the cgroup that the worker was started in; in a container they cover the container.

Only these counters show that the kernel killed a process for lack of memory, or refused to create one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from ..linux.kernel_files import field
from .cgroup_membership import Membership, memberships

# Where the kernel counts kills and refusals, by controller and cgroup version: the file, and the field in it.
_COUNTERS = {
    ("memory", 1): ("memory.oom_control", "oom_kill"),
    ("memory", 2): ("memory.events", "oom_kill"),
    ("pids", 1): ("pids.events", "max"),
    ("pids", 2): ("pids.events", "max"),
}
# Bytes that the files with counters have at most.
_MOST_BYTES = 4096


@dataclass(frozen=True)
class Counts:
    """Counters of the worker's outer cgroup; both are 0 where the kernel does not report them."""

    # Processes that the kernel killed for lack of memory.
    oom_kills: int = 0
    # Processes and threads that the kernel refused to create.
    refused: int = 0

    def __sub__(self, before: Counts) -> Counts:
        return Counts(self.oom_kills - before.oom_kills, self.refused - before.refused)


class OuterCgroup:
    def __init__(self, found: Iterable[Membership] | None = None) -> None:
        """Finds the counters' files. Must be created before the worker divides its cgroup, because that moves the
        worker to another one.
        """
        # By controller: descriptor of the file with its counter, which stays open because a run reads it several times;
        # the directory; the field in the file.
        self._places: dict[str, tuple[int, str, str]] = {}
        for membership in memberships() if found is None else found:
            for controller in membership.controllers:
                counter = _COUNTERS.get((controller, membership.version))
                directory = counter and _directory_of(membership, counter[0])
                if counter and directory:
                    file = os.open(f"{directory}/{counter[0]}", os.O_RDONLY | os.O_CLOEXEC)
                    self._places[controller] = (file, directory, counter[1])

    def counts(self) -> Counts:
        return Counts(self._read("memory"), self._read("pids"))

    def most_processes(self) -> int | None:
        """Limit of processes and threads of the cgroup; None without a limit, or when it cannot be read."""
        place = self._places.get("pids")
        with contextlib.suppress(OSError, ValueError):
            if place is not None:
                with open(f"{place[1]}/pids.max") as file:
                    return int(file.read())
        return None

    def _read(self, controller: str) -> int:
        place = self._places.get(controller)
        with contextlib.suppress(OSError, ValueError):
            if place is not None:
                file, _, name = place
                return field(os.pread(file, _MOST_BYTES, 0).decode(), name)
        return 0


def _directory_of(membership: Membership, file: str) -> str | None:
    """The directory whose counters are read. On version 2 that is the top that the worker sees, because its counters
    include all cgroups below, also those that the worker makes; but the machine's top has no such files.
    """
    tops = (membership.mount, membership.directory) if membership.version == 2 else (membership.directory,)
    return next((top for top in tops if os.access(f"{top}/{file}", os.R_OK)), None)
