"""What a run child may ask of the kernel: resource limits, no privileges to gain, none to keep."""

from __future__ import annotations

import os
import resource
from resource import RLIMIT_AS, getrlimit, setrlimit

from . import kernel
from .room import Limits, Room, kernel_at_least, status_field

_MAX_OPEN_FILES = 1024
_ROOM_FOR_OTHERS = 64
# Between the soft and the hard limit of address space: what is left to report a MemoryError with.
REPORTING_BYTES = 32 << 20


def enter_resources(room: Room, limits: Limits) -> None:
    for kind, soft, hard in _wanted(room, limits):
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))


def _wanted(room: Room, limits: Limits) -> list[tuple[int, int, int]]:
    memory = room.base_address_space + limits.memory_bytes
    wanted = [
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES, _MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, limits.disk_bytes, limits.disk_bytes),
        (resource.RLIMIT_AS, memory, memory + REPORTING_BYTES),
    ]
    # Elsewhere this limit counts every process of the user, of other runs and programs too.
    if os.getuid() != 0 and os.readlink("/proc/self/ns/user") != room.outside["user"] and kernel_at_least(5, 14):
        wanted.append((resource.RLIMIT_NPROC, limits.pids, limits.pids))
    elif room.on_gvisor:
        # It counts the worker and its paused runs too, so that the census has to find the exact number. A bomb that
        # grew faster than that would take the memory of the whole sandbox.
        wanted.append((resource.RLIMIT_NPROC, limits.pids + _ROOM_FOR_OTHERS, limits.pids + _ROOM_FOR_OTHERS))
    return wanted


def allow_reporting() -> None:
    """After a MemoryError: lets the little more in that is needed to say so."""
    try:
        hard = getrlimit(RLIMIT_AS)[1]
        setrlimit(RLIMIT_AS, (hard, hard))
    except (ValueError, OSError):
        pass


def measure_resources(room: Room, limits: Limits) -> str | None:
    loose = [kind for kind, soft, _ in _wanted(room, limits) if not 0 <= resource.getrlimit(kind)[0] <= soft]
    return f"resource limits {loose} are not set" if loose else None


def enter_capabilities(room: Room, limits: Limits) -> None:
    kernel.drop_capabilities()


def enter_new_privileges(room: Room, limits: Limits) -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def measure_capabilities(room: Room) -> str | None:
    held = status_field("CapPrm")
    return None if int(held, 16) == 0 else f"capabilities {held} are held"


def measure_new_privileges(room: Room) -> str | None:
    return None if status_field("NoNewPrivs") == "1" else "the kernel has no such flag"
