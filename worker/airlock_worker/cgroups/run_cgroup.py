"""The cgroup of a run: limits the memory, processes and CPU of all its processes and files together.

The zygote has one for each child, in every tree where the supervisor has a cgroup. Moving a process makes the kernel
stop all forks of the machine, for up to 20 ms. So on version 2 the child is born in its cgroup (CLONE_INTO_CGROUP), and
on version 1 its one thread moves itself (`tasks`), which needs no such stop.

A cgroup is reused after its run has ended, because making and removing one costs twice as much, and because the kernel
keeps a removed cgroup for as long as a page of a file is charged to it.
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
# Number of free cgroups that are kept for reuse: as many as there are spares, and some for runs that are just ending.
_MAX_FREE = 8
# Bytes of memory charged to an ended run's cgroup, above which the cgroup is removed and not reused. A usual run leaves
# about 0.5 MB, for files that it read first and for caches of each CPU.
_EMPTY_BYTES = 8 << 20


@dataclass
class RunCgroup:
    """The cgroup of one run child at a time. Where the worker has no cgroups, it limits nothing."""

    name: str
    limits: Limits
    # Number of processes that the kernel killed in this cgroup, for lack of memory, before this child was in it. It is
    # subtracted from the kernel's count.
    earlier_oom_kills: int = 0
    # Descriptors of the files by which the child moves itself into the cgroup, open during its fork. The kernel checks
    # the rights of the process that opened them, so the child needs none.
    entry_fds: list[int] = field(default_factory=list)
    # Descriptor of the cgroup's directory on version 2, open while a child is forked into it; None: the child moves
    # itself.
    clone_fd: int | None = None

    def enter(self) -> None:
        """Moves the child into the cgroup. Call it in the child, before that forks. Raises OSError."""
        for fd in self.entry_fds:
            os.write(fd, b"0")
        # The run gets a cgroup namespace, in which its own cgroup is the top, because the full path would reveal names
        # of the machine.
        with contextlib.suppress(OSError):
            kernel.unshare(kernel.CLONE_NEWCGROUP)

    def close(self) -> None:
        for fd in (*self.entry_fds, *([] if self.clone_fd is None else [self.clone_fd])):
            os.close(fd)
        self.entry_fds, self.clone_fd = [], None


class RunCgroups:
    """All cgroups of runs, made and reused by the zygote."""

    def __init__(self, places: Sequence[Place], *, clone_into: bool) -> None:
        self._places = list(places)
        # Whether children can be forked directly into a cgroup of version 2 (CLONE_INTO_CGROUP).
        self._clone_into = clone_into
        self.overhead = Overhead()
        self._made = 0
        self._free: deque[RunCgroup] = deque()
        # Names of cgroups that the kernel refused to remove so far. Removing them is tried again with the next one.
        self._left: list[str] = []

    def try_out(self) -> str | None:
        """Tries each tree with a trial cgroup, and drops those in which no process can be limited. Returns why, None if
        all work.
        """
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
        """A new or reused cgroup without processes, with the descriptors that its next child needs. Raises OSError when
        the kernel refuses; then no child may be started.
        """
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

    @property
    def entries(self) -> int:
        """Number of files by which a child moves itself into its cgroup."""
        return sum(place.version == 1 or not self._clone_into for place in self._places)

    def _open(self, cgroup: RunCgroup) -> None:
        for place in self._places:
            if place.version == 2 and self._clone_into:
                cgroup.clone_fd = os.open(cgroup.name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.directory)
            else:
                file = "tasks" if place.version == 1 else "cgroup.procs"
                cgroup.entry_fds.append(os.open(f"{cgroup.name}/{file}", os.O_WRONLY, dir_fd=place.directory))

    def _refill(self, cgroup: RunCgroup) -> None:
        """Resets the CPU quota, because CPU time that the last run used in this period must not be missing for the
        next.
        """
        for place in self._places:
            if "cpu" in place.controllers:
                for file, value in limits_as_files(replace(place, controllers=("cpu",)), cgroup.limits, self.overhead):
                    write(place, cgroup.name, file, value)

    def oom_kills(self, cgroup: RunCgroup) -> int:
        """Number of processes of this child that the kernel killed for lack of memory."""
        with contextlib.suppress(OSError):
            for place in self._places:
                if "memory" in place.controllers:
                    file = "memory.oom_control" if place.version == 1 else "memory.events"
                    return counted(read(place, cgroup.name, file), "oom_kill") - cgroup.earlier_oom_kills
        return 0

    def give_back(self, cgroup: RunCgroup, oom_kills: int = 0) -> None:
        """Takes the cgroup back when its processes have ended. `oom_kills`: how many of them the kernel killed."""
        cgroup.earlier_oom_kills += oom_kills
        if self._places and len(self._free) < _MAX_FREE and self._is_empty(cgroup):
            self._free.append(cgroup)
        else:
            self._remove(cgroup.name)

    def _is_empty(self, cgroup: RunCgroup) -> bool:
        """Whether the cgroup uses little memory. The kernel frees some memory of ended processes late, such as
        System V segments, and the next run must not be charged for it.
        """
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
