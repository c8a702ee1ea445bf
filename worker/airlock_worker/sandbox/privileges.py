"""What a run child may ask of the kernel: resource limits, no privileges to gain, none to keep."""

from __future__ import annotations

import os
import resource
from resource import RLIMIT_DATA, setrlimit

from ..linux import kernel
from ..linux.proc import kernel_at_least, status_field
from ..wire.limits import Limits
from .context import SandboxContext

_MAX_OPEN_FILES = 1024
_ROOM_FOR_OTHERS = 64
# What a process may use beyond its limit, to report a MemoryError with.
REPORTING_BYTES = 32 << 20
# What processes ask for and never use: stacks of threads, and what allocators keep in reserve.
_STACK_BYTES = 8 << 20
_SMALL_POOL = 10
_RESERVED_BYTES = 256 << 20
# The same without end. What is shared, or cannot be written to, counts here alone.
_MOST_RESERVED_BYTES = 8 << 30


# The limits of RLIMIT_DATA when all is let in; made before the script.
_all_data = (-1, -1)


def enter_resources(context: SandboxContext, limits: Limits) -> None:
    global _all_data
    for kind, soft, hard in _wanted(context, limits):
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))
        if kind == RLIMIT_DATA:
            _all_data = (hard, hard)


def rehearse(context: SandboxContext, limits: Limits) -> None:
    """In the template: goes through what every child does."""
    _wanted(context, limits)


def _wanted(context: SandboxContext, limits: Limits) -> list[tuple[int, int, int]]:
    wanted = [
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES, _MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, limits.disk_bytes, limits.disk_bytes),
    ]
    most = limits.memory_bytes + _MOST_RESERVED_BYTES
    if context.base_data:
        wanted.append((resource.RLIMIT_DATA, context.base_data + allowance(limits, 0), context.base_data + most))
    else:
        # gVisor does not tell what a process may write to.
        most = allowance(limits, 0) + REPORTING_BYTES + _RESERVED_BYTES
    wanted.append((resource.RLIMIT_AS, context.base_address_space + most, context.base_address_space + most))
    # Elsewhere this limit counts every process of the user, of other runs and programs too.
    if os.getuid() != 0 and os.readlink("/proc/self/ns/user") != context.outside["user"] and kernel_at_least(5, 14):
        wanted.append((resource.RLIMIT_NPROC, limits.pids, limits.pids))
    elif context.on_gvisor:
        # It counts the worker and its paused runs too, so that the census has to find the exact number. A bomb that
        # grew faster than that would take the memory of the whole sandbox.
        wanted.append((resource.RLIMIT_NPROC, limits.pids + _ROOM_FOR_OTHERS, limits.pids + _ROOM_FOR_OTHERS))
    return wanted


def allowance(limits: Limits, used: int) -> int:
    """How much more a process may ask for that uses so much: what it may still use, and as much again that it will not.
    At first that is a stack for each thread that it may have, and later one for each of a small pool's.
    """
    free = max(0, limits.memory_bytes - used)
    threads = limits.pids if free > limits.memory_bytes // 2 else min(limits.pids, _SMALL_POOL)
    return free + max(min(free, _RESERVED_BYTES), threads * _STACK_BYTES) if free else 0


def allow_reporting() -> None:
    """After a MemoryError: lets a process tell of it. What is used is still watched."""
    try:
        # Without asking for memory.
        setrlimit(RLIMIT_DATA, _all_data)
    except (ValueError, OSError):
        pass


def measure_resources(context: SandboxContext, limits: Limits) -> str | None:
    loose = [kind for kind, soft, _ in _wanted(context, limits) if not 0 <= resource.getrlimit(kind)[0] <= soft]
    return f"resource limits {loose} are not set" if loose else None


def enter_capabilities(context: SandboxContext, limits: Limits) -> None:
    kernel.drop_capabilities()


def enter_new_privileges(context: SandboxContext, limits: Limits) -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def measure_capabilities(context: SandboxContext) -> str | None:
    held = status_field("CapPrm")
    return None if int(held, 16) == 0 else f"capabilities {held} are held"


def measure_new_privileges(context: SandboxContext) -> str | None:
    return None if status_field("NoNewPrivs") == "1" else "the kernel has no such flag"
