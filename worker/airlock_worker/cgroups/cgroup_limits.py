"""The limits of a run as the kernel takes them: files of its cgroup, on version 1 and on version 2."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass

from ..sandbox.privileges import REPORTING_BYTES
from ..wire.limits import Limits

# What the kernel begins with on both versions.
_CPU_PERIOD_US = 100_000
# The kernel takes no less.
_MIN_CPU_QUOTA_US = 1_000
# Not there where the kernel does not count swap.
OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max"})


@dataclass(frozen=True)
class Place:
    """The worker's own cgroup in one tree; those of its runs are below it."""

    version: int
    controllers: tuple[str, ...]
    # A descriptor that the supervisor opened: runs and their zygote do not see the tree.
    directory: int
    # On version 1 the kernel refuses a child more than its parents have.
    max_cpus: float | None = None


@dataclass(frozen=True)
class Overhead:
    """What a run child has before its script starts, which is not counted against the project's limits."""

    # The zygote's private memory: a child that writes to all of it has a copy of its own.
    memory_bytes: int = 0
    # Process 1 of its namespace.
    processes: int = 0


def limits_as_files(place: Place, limits: Limits, overhead: Overhead) -> Iterator[tuple[str, str]]:
    """The files of a run's cgroup and what stands in them."""
    # A run's files are in its tmpfs, so they are memory: within its disk limit it must not be killed for them. The rest
    # lets a single process come to its own limit first, where it gets an exception with a traceback and not a SIGKILL.
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
            # A script that misses one of its processes hangs or goes wrong: one kill ends all of the run.
            "memory": [("memory.max", memory), ("memory.swap.max", 0), ("memory.oom.group", 1)],
            "cpu": [("cpu.max", f"{quota} {_CPU_PERIOD_US}")],
        }
    by_controller["pids"] = [("pids.max", limits.pids + overhead.processes)]
    for controller in place.controllers:
        for file, value in by_controller[controller]:
            yield file, str(value)


def write(place: Place, name: str, file: str, value: str) -> None:
    """Into a file of the cgroup `name`."""
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
