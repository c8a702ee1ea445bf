"""Writes the limits of a run into the files of its cgroup, for version 1 and version 2 of the kernel's cgroups."""

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
# Files that a cgroup lacks where the kernel does not count swap. Their absence is no error.
OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max"})


@dataclass(frozen=True)
class Place:
    """The worker's own cgroup in one tree of cgroups. The cgroups of its runs are below it."""

    version: int
    controllers: tuple[str, ...]
    # Descriptor of the cgroup's directory. The supervisor opens it, because the zygote and runs do not see the tree.
    directory: int
    # CPUs that the cgroups above allow, because on version 1 the kernel refuses a child a higher limit; None:
    # unlimited.
    max_cpus: float | None = None


@dataclass(frozen=True)
class Overhead:
    """Resources that a run child uses before its script starts; they do not count against the project's limits."""

    # The template's private memory in bytes. A run child that writes to all of it has a copy of its own.
    memory_bytes: int = 0
    # Processes besides the script's own: 1 for process 1 of the run's pid namespace, 0 without such a namespace.
    processes: int = 0


def limits_as_files(place: Place, limits: Limits, overhead: Overhead) -> Iterator[tuple[str, str]]:
    """Pairs of file name and content to write into a run's cgroup, so that the kernel enforces `limits`."""
    # The memory limit includes the disk limit, because a run's files are in a tmpfs and count as memory; within its
    # disk limit a run must not be killed for them. The other two addends let a single process reach its own limit
    # first, which gives a MemoryError with a traceback, not a SIGKILL.
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
            # memory.oom.group: the kernel kills the whole run and not one process, because a script that loses one of
            # its processes may hang or compute wrong results.
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
