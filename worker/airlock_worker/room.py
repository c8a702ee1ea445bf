"""What the sandbox layers of one run child share."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

NAMESPACES = ("user", "mnt", "ipc", "pid", "net")


@dataclass(frozen=True)
class Limits:
    """What one run may use, in bytes and processes."""

    max_output_bytes: int
    max_result_bytes: int
    memory_bytes: int
    disk_bytes: int
    pids: int


@dataclass
class Room:
    """The place a run lives in. Layers fill in what they make and, in `problems`, what the kernel refused."""

    # Of the worker; a run's scratch directory lies there where no private mounts can be had.
    run_dir: str
    # Directories that must stay reachable: the interpreter, its packages.
    keep_paths: tuple[str, ...]
    # The zygote's namespaces, for comparison: {"mnt": "mnt:[4026531840]"}.
    outside: dict[str, str]
    private_mounts: bool = False
    scratch: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    # What RLIMIT_AS counts before the script starts.
    base_address_space: int = 0


def namespaces() -> dict[str, str]:
    return {name: _link(f"/proc/self/ns/{name}") for name in NAMESPACES}


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def kernel_at_least(major: int, minor: int) -> bool:
    numbers = os.uname().release.split("-")[0].split(".")
    try:
        return (int(numbers[0]), int(numbers[1])) >= (major, minor)
    except (ValueError, IndexError):
        return False
