"""Writes the limits of a run into the files of its cgroup, on version 1 and on version 2."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass

from ..sandbox.privileges import REPORTING_BYTES
from ..wire.limits import Limits

# CPU period in microseconds, the kernel's default on both versions.
_CPU_PERIOD_US = 100_000
# Smallest CPU quota in microseconds that the kernel accepts.
_MIN_CPU_QUOTA_US = 1_000
# Files that are missing where the kernel does not count swap.
OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max"})


@dataclass(frozen=True)
class Place:
    """The worker's own cgroup in one tree. The cgroups of its runs are below it."""

    version: int
    controllers: tuple[str, ...]
    # Descriptor of the directory, opened by the supervisor, because the zygote and runs do not see the tree.
    directory: int
    # CPUs of the cgroups above on version 1, where the kernel refuses a child more than that; None: unlimited.
    max_cpus: float | None = None


@dataclass(frozen=True)
class Overhead:
    """Resources that a run child uses before its script starts; they do not count against the project's limits."""

    # The template's private memory in bytes: a child that writes to all of it has a copy of its own.
    memory_bytes: int = 0
    # 1 for process 1 of its pid namespace; 0 without one.
    processes: int = 0


def limits_as_files(place: Place, limits: Limits, overhead: Overhead) -> Iterator[tuple[str, str]]:
    """Pairs of file and content for a run's cgroup."""
    # A run's files are memory, because they are in a tmpfs; within its disk limit it must not be killed for them. The
    # rest lets a single process reach its own limit first, which gives a MemoryError with a traceback, not a SIGKILL.
    page = resource.getpagesize()
    memory = limits.memory_bytes + limits.disk_bytes + REPORTING_BYTES + overhead.memory_bytes
    memory = memory // page * page
    cpus = limits.cpus if place.max_cpus is None else min(limits.cpus, place.max_cpus)
    quota = max(_MIN_CPU_QUOTA_US, int(cpus * _CPU_PERIOD_US))
    by_controller: dict[str, list[tuple[str, str | int]]]
    if place.version == 1:
        by_controller = {
            "memory": [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)],
            "cpu": [("cpu.cfs_quota_us", quota)],
        }
    else:
        by_controller = {
            # One kill ends the whole run, because a script that loses one of its processes may hang or compute wrong
            # results.
            "memory": [("memory.max", memory), ("memory.swap.max", 0), ("memory.oom.group", 1)],
            "cpu": [("cpu.max", f"{quota} {_CPU_PERIOD_US}")],
        }
    by_controller["pids"] = [("pids.max", limits.pids + overhead.processes)]
    for controller in place.controllers:
        for file, value in by_controller[controller]:
            yield file, str(value)


def write(place: Place, name: str, file: str, value: str) -> None:
    """Writes a file of the cgroup `name`. Raises OSError, but not for an optional file that is missing."""
    try:
        fd = os.open(f"{name}/{file}", os.O_WRONLY, dir_fd=place.directory)
    except FileNotFoundError:
        if file in OPTIONAL:
            return
        raise
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"{file}: {error.strerror}") from error
    finally:
        os.close(fd)


def read(place: Place, name: str, file: str) -> str:
    fd = os.open(f"{name}/{file}", os.O_RDONLY, dir_fd=place.directory)
    try:
        return os.read(fd, 4096).decode()
    finally:
        os.close(fd)
