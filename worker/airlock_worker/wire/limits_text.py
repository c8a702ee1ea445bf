"""Texts for errors of scripts that reach a limit of their project."""

from __future__ import annotations

from .limits import Limits


def of_process_memory(used: int, limits: Limits) -> str:
    return (
        f"one of its processes used {used >> 20} MB, and each may use {limits.memory_bytes >> 20} MB "
        "(memory_mb in the project's limits)."
    )


def of_memory_error(used: int, limits: Limits, may_be_other: bool) -> str:
    """`may_be_other`: whether Python may have raised the error for a reason other than the limit."""
    limit = f"A process of a run may use {limits.memory_bytes >> 20} MB of memory (memory_mb in the project's limits). "
    if not may_be_other or used >= limits.memory_bytes // 2:
        return f"{limit}This one used {used >> 20} MB when it asked for more than was left."
    return (
        f"{limit}This one used {used >> 20} MB: either it asked for more than the rest at once, or the error has "
        "another reason, such as code that is nested too deeply for Python's parser."
    )


def of_disk(limits: Limits) -> str:
    return f"The files of a run may take {limits.disk_bytes >> 20} MB together (disk_mb in the project's limits)."


def of_pids(limits: Limits) -> str:
    return f"A run may have {limits.pids} processes and threads together (pids in the project's limits)."
