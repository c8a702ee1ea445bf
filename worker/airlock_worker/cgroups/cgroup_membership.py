"""Finds the cgroups of a process. Version 2 has one tree, version 1 has one for each controller.

A machine may use both; each controller is then in exactly one of the trees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

CONTROLLERS = ("memory", "pids", "cpu")


@dataclass(frozen=True)
class Membership:
    """A cgroup as a directory, with the controllers of `CONTROLLERS` that its tree may have."""

    version: Literal[1, 2]
    controllers: tuple[str, ...]
    # Mount point of the tree.
    mount: str
    # Path of the cgroup's directory below the mount point.
    directory: str


def memberships(pid: int | Literal["self"] = "self") -> list[Membership]:
    """The cgroups of a process, without trees that are not mounted here or do not show the process's part."""
    try:
        with open(f"/proc/{pid}/cgroup") as cgroup, open("/proc/self/mountinfo") as mountinfo:
            return parse(cgroup.read(), mountinfo.read())
    except OSError:
        # The process has ended, or this kernel has no cgroups.
        return []


def parse(cgroup: str, mountinfo: str) -> list[Membership]:
    """The cgroups of a process. `cgroup`: text of /proc/PID/cgroup, lines of `hierarchy:controllers:path`. `mountinfo`:
    text of /proc/self/mountinfo.
    """
    lines = [line.split(":", 2) for line in cgroup.splitlines()]
    of_version_1 = {name for _, names, _ in lines for name in names.split(",")}
    found = []
    for number, names, path in lines:
        unified = number == "0" and not names
        candidates = [name for name in CONTROLLERS if name not in of_version_1] if unified else names.split(",")
        controllers = tuple(name for name in CONTROLLERS if name in candidates)
        place = _place(path, mountinfo, None if unified else set(controllers)) if controllers else None
        if place is not None:
            found.append(Membership(2 if unified else 1, controllers, *place))
    return found


def _place(path: str, mountinfo: str, controllers: set[str] | None) -> tuple[str, str] | None:
    """Mount point and directory of the cgroup `path`. None for `controllers` stands for version 2."""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        root, point = (_plain(field) for field in left.split(" ")[3:5])
        kind, _, options = right.partition(" ")
        names = options.rpartition(" ")[2].split(",")
        ours = kind == "cgroup2" if controllers is None else kind == "cgroup" and controllers <= set(names)
        # A mount that shows another part of the tree is skipped, because a container may see only a part of it.
        if ours and f"{path}/".startswith(root.rstrip("/") + "/"):
            below = path[len(root.rstrip("/")) :].strip("/")
            return point, f"{point}/{below}" if below else point
    return None


def _plain(field: str) -> str:
    """Decodes a field of mountinfo, which writes blanks and backslashes as octal numbers; systemd uses them in unit
    names.
    """
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
