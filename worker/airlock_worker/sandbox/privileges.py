"""Limits what a run child may ask of the kernel: resource limits, no capabilities, and no way to gain privileges."""

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
# Bytes that a process may use beyond its limit, so that it can report a MemoryError.
REPORTING_BYTES = 32 << 20
# Bytes of writable memory that a thread asks for as its stack, and rarely uses.
_STACK_BYTES = 8 << 20
# Number of threads for which stacks are reserved at most when a process has used half of its memory or more.
_SMALL_POOL = 10
# Bytes that allocators ask for as a reserve, and rarely use.
_RESERVED_BYTES = 256 << 20
# Bytes of address space that a process may have beyond its memory limit, because address space also counts shared and
# read-only memory.
_MOST_RESERVED_BYTES = 8 << 30


# Soft and hard RLIMIT_DATA with which a process can report a MemoryError. The tuple is made before the script, so that
# setting the limit needs no memory.
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
    """Computes the limits once in the template, as every child does, so that children share the memory that this
    needs.
    """
    _wanted(context, limits)


def _wanted(context: SandboxContext, limits: Limits) -> list[tuple[int, int, int]]:
    wanted = [
        (resource.RLIMIT_CORE, kernel.NO_CRASH_HANDLER, kernel.NO_CRASH_HANDLER),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES, _MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, limits.disk_bytes, limits.disk_bytes),
    ]
    most = limits.memory_bytes + _MOST_RESERVED_BYTES
    if context.base_data:
        wanted.append((resource.RLIMIT_DATA, context.base_data + allowance(limits, 0), context.base_data + most))
    else:
        # gVisor does not report how much writable memory a process has asked for, so only the address space is limited.
        most = allowance(limits, 0) + REPORTING_BYTES + _RESERVED_BYTES
    wanted.append((resource.RLIMIT_AS, context.base_address_space + most, context.base_address_space + most))
    # The limit of processes is set only in a user namespace of the run's own, because otherwise it would also count
    # processes of other runs and programs of the user.
    if os.getuid() != 0 and os.readlink("/proc/self/ns/user") != context.outside["user"] and kernel_at_least(5, 14):
        wanted.append((resource.RLIMIT_NPROC, limits.pids, limits.pids))
    elif context.on_gvisor:
        # On gVisor this limit also counts the worker and its paused runs, so the supervisor's own count enforces the
        # exact number. The limit is set all the same, because a fast fork bomb could use up the memory of the whole
        # sandbox.
        wanted.append((resource.RLIMIT_NPROC, limits.pids + _ROOM_FOR_OTHERS, limits.pids + _ROOM_FOR_OTHERS))
    return wanted


def allowance(limits: Limits, used: int) -> int:
    """Bytes of address space that a process may still ask for when it uses `used`: what it may still use, and a
    reserve.

    The reserve is at most as much again, and at least stacks: first for each thread of the run, later for a small pool.
    """
    free = max(0, limits.memory_bytes - used)
    threads = limits.pids if free > limits.memory_bytes // 2 else min(limits.pids, _SMALL_POOL)
    return free + max(min(free, _RESERVED_BYTES), threads * _STACK_BYTES) if free else 0


def allow_reporting() -> None:
    """Raises the process's limit after a MemoryError, so that it can report that. The supervisor still watches
    its use.
    """
    try:
        # The limit is the tuple that was made before the script, because making another one would need memory.
        setrlimit(RLIMIT_DATA, _all_data)
    except (ValueError, OSError):
        # The script has set a hard limit, so that it cannot be raised.
        pass
    except BaseException:
        # An audit hook of the script may raise anything here.
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
