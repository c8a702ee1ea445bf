"""What the sandbox layers of one run child share."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass, field

_PRIVATE_PLACES = ("/tmp", "/var/tmp", "/dev/shm")
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
    # Where each run gets a tmpfs of its own, and what lies below that every run needs: interpreter and packages.
    private_places: tuple[str, ...]
    hidden_paths: tuple[str, ...]
    # The zygote's namespaces, for comparison: {"mnt": "mnt:[4026531840]"}.
    outside: dict[str, str]
    private_mounts: bool = False
    scratch: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    # What RLIMIT_AS counts before the script starts.
    base_address_space: int = 0


def room_for(run_dir: str, keep_paths: Iterable[str]) -> Room:
    """`keep_paths` must stay reachable. Worked out in the zygote, before the forks, since each would repeat it."""
    places = tuple(place for place in _PRIVATE_PLACES if os.path.isdir(place))
    hidden = {path for path in keep_paths if any(f"{path}/".startswith(f"{place}/") for place in places)}
    return Room(run_dir, places, tuple(sorted(hidden, key=len)), namespaces())


def address_space_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


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
