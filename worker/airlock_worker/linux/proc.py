"""Reads what the kernel reports to a process about itself, from /proc/self."""

from __future__ import annotations

import os
from resource import getpagesize

NAMESPACES = ("user", "mnt", "ipc", "uts", "pid", "net")


def address_space_bytes() -> int:
    return _statm()[0]


def data_bytes() -> int:
    """Writable memory that this process has asked for, in bytes, used or not."""
    return _statm()[5]


def private_memory_bytes() -> int:
    """Memory that this process uses and that is not read from files, in bytes."""
    _, resident, shared = _statm()[:3]
    return resident - shared


def _statm() -> list[int]:
    with open("/proc/self/statm") as file:
        return [int(pages) * getpagesize() for pages in file.read().split()]


def namespaces() -> dict[str, str]:
    return {name: _link(f"/proc/self/ns/{name}") for name in NAMESPACES}


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def status_field(name: str) -> str:
    """A field of /proc/self/status as text; "-1" when this kernel does not report it."""
    with open("/proc/self/status") as file:
        for line in file:
            field_name, _, value = line.partition(":")
            if field_name == name:
                return value.strip()
    return "-1"


def kernel_at_least(major: int, minor: int) -> bool:
    numbers = os.uname().release.split("-")[0].split(".")
    try:
        return (int(numbers[0]), int(numbers[1])) >= (major, minor)
    except (ValueError, IndexError):
        return False
