"""The cgroup of a run: what all of its processes and files together may take of memory, processes and CPU.

The zygote has one for each child, in every tree that the supervisor has a place in. To move a process, the kernel stops
all forks of the machine and waits for up to 20 ms. So on version 2 the child is born in its cgroup (CLONE_INTO_CGROUP),
and on version 1 its one thread moves itself (`tasks`), which needs no such stop.

A cgroup whose run has ended serves another: to make and to remove one costs twice as much, and the kernel keeps those
that were removed for as long as a page of a file is charged to them.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..linux import kernel
from ..linux.kernel_files import field as counted
from ..sandbox.namespace_setup import problem_of
from ..wire.limits import Limits
from .cgroup_limits import Overhead, Place, limits_as_files, read, write

_TRIAL = "trial"
_TRIAL_LIMITS = Limits(1, 1, memory_bytes=64 << 20, disk_bytes=1 << 20, pids=8, cpus=1.0)
# Kept for the next children; as many as there are spares, and some that are just ending.
_MAX_FREE = 8
# An ended run leaves some 0.5 MB, of files that it was the first to read and of what each CPU keeps ready.
_EMPTY_BYTES = 8 << 20


@dataclass
class RunCgroup:
    """For one run child at a time. Where there is no tree it has no limits."""

    name: str
    limits: Limits
    # Of its processes, as many as the kernel had killed for lack of memory before this child.
    earlier_oom_kills: int = 0
    # Open while a child is forked: files that it moves itself by. What counts is the rights of whoever opened them.
    entry_fds: list[int] = field(default_factory=list)
    # Likewise: its directory on version 2, to be born in.
    clone_fd: int | None = None

    def enter(self) -> None:
        """In the child, before it forks."""
        for fd in self.entry_fds:
            os.write(fd, b"0")
        # From now on it sees its own place as the top: the path would tell about the machine.
        with contextlib.suppress(OSError):
            kernel.unshare(kernel.CLONE_NEWCGROUP)

    def close(self) -> None:
        for fd in (*self.entry_fds, *([] if self.clone_fd is None else [self.clone_fd])):
            os.close(fd)
        self.entry_fds, self.clone_fd = [], None


class RunCgroups:
    """The zygote's."""

    def __init__(self, places: Sequence[Place], *, clone_into: bool) -> None:
        self._places = list(places)
        # Whether children can be born in a cgroup of version 2.
        self._clone_into = clone_into
        self.overhead = Overhead()
        self._made = 0
        self._free: deque[RunCgroup] = deque()
        # Names of those that the kernel did not want to remove yet.
        self._left: list[str] = []

    def try_out(self) -> str | None:
        """Gives up the places in which no process can be limited; says why."""
        if self._problem_of(self._places) is None:
            return None
        problems = []
        for place in list(self._places):
            problem = self._problem_of([place])
            if problem is not None and self._clone_into and place.version == 2:
                self._clone_into = False
                problem = self._problem_of([place])
            if problem is not None:
                self._places.remove(place)
                problems.append(f"{', '.join(place.controllers)}: {problem}")
        return "; ".join(problems) or None

    def _problem_of(self, places: Sequence[Place]) -> str | None:
        problem = problem_of(lambda: RunCgroups(places, clone_into=self._clone_into)._try())
        self._remove(_TRIAL)
        return problem

    def _try(self) -> None:
        cgroup = self._make(_TRIAL, _TRIAL_LIMITS)
        if cgroup.clone_fd is not None:
            pid = kernel.clone(0, cgroup.clone_fd)
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        cgroup.enter()

    def take(self, limits: Limits) -> RunCgroup:
        """One without processes, open. Raises OSError when the kernel refuses: then there must be no child either."""
        while self._free:
            cgroup = self._free.popleft()
            if cgroup.limits == limits:
                with contextlib.suppress(OSError):
                    self._refill(cgroup)
                    return self._opened(cgroup)
            self._remove(cgroup.name)
        self._made += 1
        return self._make(f"run-{self._made}", limits)

    def _make(self, name: str, limits: Limits) -> RunCgroup:
        cgroup = RunCgroup(name, limits)
        try:
            for place in self._places:
                os.mkdir(name, 0o755, dir_fd=place.directory)
                for file, value in limits_as_files(place, limits, self.overhead):
                    write(place, name, file, value)
            return self._opened(cgroup)
        except OSError:
            self._remove(name)
            raise

    def _opened(self, cgroup: RunCgroup) -> RunCgroup:
        try:
            self._open(cgroup)
        except OSError:
            cgroup.close()
            raise
        return cgroup

    def _open(self, cgroup: RunCgroup) -> None:
        for place in self._places:
            if place.version == 2 and self._clone_into:
                cgroup.clone_fd = os.open(cgroup.name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.directory)
            else:
                file = "tasks" if place.version == 1 else "cgroup.procs"
                cgroup.entry_fds.append(os.open(f"{cgroup.name}/{file}", os.O_WRONLY, dir_fd=place.directory))

    def _refill(self, cgroup: RunCgroup) -> None:
        """What the last run has used of its CPU time in this period must not be missing to the next."""
        for place in self._places:
            if "cpu" in place.controllers:
                for file, value in limits_as_files(replace(place, controllers=("cpu",)), cgroup.limits, self.overhead):
                    write(place, cgroup.name, file, value)

    def oom_kills(self, cgroup: RunCgroup) -> int:
        """How many processes of this child the kernel has killed for lack of memory."""
        with contextlib.suppress(OSError):
            for place in self._places:
                if "memory" in place.controllers:
                    file = "memory.oom_control" if place.version == 1 else "memory.events"
                    return counted(read(place, cgroup.name, file), "oom_kill") - cgroup.earlier_oom_kills
        return 0

    def give_back(self, cgroup: RunCgroup, oom_kills: int = 0) -> None:
        """Once its processes have ended, `oom_kills` of them in that way."""
        cgroup.earlier_oom_kills += oom_kills
        if self._places and len(self._free) < _MAX_FREE and self._is_empty(cgroup):
            self._free.append(cgroup)
        else:
            self._remove(cgroup.name)

    def _is_empty(self, cgroup: RunCgroup) -> bool:
        """The kernel gives some memory of dead processes back late, such as System V segments: not to the next run."""
        with contextlib.suppress(OSError):
            for place in self._places:
                if "memory" in place.controllers:
                    file = "memory.usage_in_bytes" if place.version == 1 else "memory.current"
                    return int(read(place, cgroup.name, file)) <= _EMPTY_BYTES
            return True
        return False

    def _remove(self, name: str) -> None:
        left, self._left = self._left, []
        for each in dict.fromkeys([*left, name]):
            for place in self._places:
                try:
                    os.rmdir(each, dir_fd=place.directory)
                except FileNotFoundError:
                    pass
                except OSError:
                    self._left.append(each)
