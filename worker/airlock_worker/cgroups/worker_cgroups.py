"""The worker's own cgroup in each tree: made when it starts, locked while it lives, removed with all cgroups below it.

The kernel drops the lock when the worker dies, for whatever reason. So a worker that can lock such a cgroup has found
an orphan, even of a worker in another pid namespace, and removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import secrets
import signal
from dataclasses import asdict

from ..linux.kernel_files import field, words, write
from ..linux.process_handle import handle_of
from ..wire.limits import Limits
from . import cgroup_delegation, cgroup_membership
from .cgroup_limits import OPTIONAL, Overhead, Place, limits_as_files, read
from .cgroup_membership import CONTROLLERS, Membership

_PREFIX = "airlock-worker-"
_ATTEMPTS = 10
_REMOVE_STEPS = 50
_REMOVE_STEP_S = 0.01
_USAGE = (("memory.current", "memory"), ("memory.usage_in_bytes", "memory"), ("pids.current", "pids"))


class WorkerCgroups:
    """Makes a cgroup in every tree that allows it; `problem` says why others do not, empty if all do."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self._directories: dict[Place, str] = {}
        why_not = dict.fromkeys(CONTROLLERS, "no such controller in the cgroup of the worker")
        for membership in cgroup_membership.memberships():
            try:
                for name in self._settle(membership):
                    del why_not[name]
            except OSError as error:
                why_not.update(dict.fromkeys(membership.controllers, error.strerror or str(error)))
        self.problem = "; ".join(
            f"{', '.join(name for name in why_not if why_not[name] == reason)}: {reason}"
            for reason in dict.fromkeys(why_not.values())
        )

    def _settle(self, membership: Membership) -> tuple[str, ...]:
        """Makes the worker's cgroup in one tree. Returns the controllers that it has; raises OSError."""
        parent, controllers = membership.directory, membership.controllers
        if membership.version == 2:
            parent = cgroup_delegation.delegated(membership)
            given = words(f"{parent}/cgroup.controllers")
            controllers = tuple(name for name in controllers if name in given)
            cgroup_delegation.enable(parent, controllers)
        if not controllers:
            return ()
        remove_orphans(parent)
        directory, descriptor = _make_locked(parent)
        if membership.version == 2:
            cgroup_delegation.enable(directory, controllers)
        quota = _quota_above(membership) if membership.version == 1 and "cpu" in controllers else None
        place = Place(membership.version, controllers, descriptor, quota)
        self.places.append(place)
        self._directories[place] = directory
        return controllers

    def zygote_arguments(self) -> list[str]:
        places = json.dumps([asdict(place) for place in self.places])
        return [f"--cgroups={places}", f"--cgroup-problem={self.problem}"]

    def descriptors(self) -> list[int]:
        """Descriptors of the worker's cgroups for the zygote to inherit. They share the lock, which lasts until
        supervisor and zygote are both dead.
        """
        return [place.directory for place in self.places]

    def measure(self, pid: int, name: str, limits: Limits, overhead: Overhead) -> str | None:
        """None when the kernel counts process `pid` in the cgroup `name` with these limits, else what is wrong."""
        found = cgroup_membership.memberships(pid)
        for place, home in self._directories.items():
            directory = f"{home}/{name}"
            if not any(membership.directory == directory for membership in found):
                return f"{', '.join(place.controllers)}: the run is in another cgroup"
            for file, value in limits_as_files(place, limits, overhead):
                there = _content(f"{directory}/{file}")
                if there != value and not (there is None and file in OPTIONAL):
                    return f"{file} is {there}, not {value}"
            for file, controller in _USAGE:
                if controller in place.controllers and _content(f"{directory}/{file}") == "0":
                    return f"{file} is 0: the kernel does not count the run"
        return None

    def oom_kills(self, name: str) -> int | None:
        """Number of processes that the kernel has ever killed in the cgroup `name` for lack of memory. None: it does
        not count them there.
        """
        for place in self.places:
            if "memory" in place.controllers:
                with contextlib.suppress(OSError):
                    file = "memory.oom_control" if place.version == 1 else "memory.events"
                    return field(read(place, name, file), "oom_kill")
        return None

    async def remove(self) -> None:
        """Removes the cgroups. Call it when every process in them has ended."""
        for place, directory in self._directories.items():
            for _ in range(_REMOVE_STEPS):
                with contextlib.suppress(OSError):
                    _remove_tree(directory)
                if not os.path.exists(directory):
                    break
                await asyncio.sleep(_REMOVE_STEP_S)
            os.close(place.directory)
        self._directories.clear()


def _quota_above(membership: Membership) -> float | None:
    """The fewest CPUs that the worker's own cgroup of version 1, or one above it, may use; None: unlimited."""
    found = []
    directory = membership.directory
    while directory.startswith(membership.mount):
        with contextlib.suppress(OSError):
            quota, period = (int(words(f"{directory}/cpu.cfs_{name}_us")[0]) for name in ("quota", "period"))
            if quota > 0:
                found.append(quota / period)
        directory = os.path.dirname(directory)
    return min(found, default=None)


def _make_locked(parent: str) -> tuple[str, int]:
    for _ in range(_ATTEMPTS):
        directory = f"{parent}/{_PREFIX}{secrets.token_hex(4)}"
        os.mkdir(directory, 0o755)
        # Another worker that starts may take the new cgroup for an orphan and remove it before it is locked. Then
        # another cgroup is made.
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            descriptor = _lock(directory)
            if os.path.exists(directory):
                return directory, descriptor
            os.close(descriptor)
    raise OSError(errno.EBUSY, "every cgroup that the worker made was removed at once")


def _lock(directory: str) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def remove_orphans(parent: str) -> None:
    for name in os.listdir(parent):
        if name.startswith(_PREFIX):
            # An error is ignored: the cgroup of a living worker cannot be locked, and one that is still busy is removed
            # when the next worker starts.
            with contextlib.suppress(OSError):
                descriptor = _lock(f"{parent}/{name}")
                try:
                    _remove_tree(f"{parent}/{name}")
                finally:
                    os.close(descriptor)


def _remove_tree(directory: str) -> None:
    with os.scandir(directory) as entries:
        below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in below:
        _kill(path)
        os.rmdir(path)
    os.rmdir(directory)


def _kill(directory: str) -> None:
    try:
        write(f"{directory}/cgroup.kill", "1")
    except FileNotFoundError:
        for pid in map(int, words(f"{directory}/cgroup.procs")):
            # The kernel reports a process outside this pid namespace as 0. A signal to 0 would reach the worker's own
            # process group.
            if pid > 0:
                with handle_of(pid) as process:
                    # The list is read again, because the pid may have become another process's before the handle was
                    # taken.
                    if str(pid) in words(f"{directory}/cgroup.procs"):
                        process.send(signal.SIGKILL)


def _content(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read().strip()
    except FileNotFoundError:
        return None
