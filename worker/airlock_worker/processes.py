"""Finding, freezing and killing whole process trees through /proc.

A run child is a child subreaper, so all that it starts stays below it while it lives, double-forked daemons too. When
it dies its orphans fall to the zygote, and when the zygote dies to the supervisor: both are subreapers as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Container

# Passes over a tree that keeps growing before the next step is taken anyway: what escapes a pass is an orphan later.
_MAX_PASSES = 200


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(ProcessLookupError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        # The process or a thread of it is gone, or this kernel has no such file.
        if os.path.exists("/proc/self/task"):
            return found if _has_children_files() else _children_by_scan(pid)
    return found


def _has_children_files() -> bool:
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _children_by_scan(parent: int) -> list[int]:
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _stat(pid)[1] == parent]


def _stat(pid: int) -> tuple[str, int]:
    """State letter and parent; ("", 0) when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The command name stands in parentheses and may hold any character.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    return fields[0].decode(), int(fields[1])


def descendants_of(pid: int) -> list[int]:
    found: list[int] = []
    open_ends = [pid]
    while open_ends:
        children = children_of(open_ends.pop())
        found += children
        open_ends += children
    return found


def more_than(limit: int, pid: int) -> bool:
    """Whether the tree has more than `limit` processes; looks at no more than it must."""
    count = 0
    open_ends = [pid]
    while open_ends and count <= limit:
        count += 1
        open_ends += children_of(open_ends.pop())
    return count > limit


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def freeze_tree(pid: int, spare_root: bool = False) -> bool:
    """Stops the process, unless it is to be spared, and all below it.

    False when some of it was still moving: call again a little later.
    """
    stopped: set[int] = set()
    roots = () if spare_root else (pid,)
    for _ in range(_MAX_PASSES):
        fresh = [member for member in (*roots, *descendants_of(pid)) if member not in stopped]
        if not fresh:
            break
        for member in fresh:
            send(member, signal.SIGSTOP)
        stopped.update(fresh)
    return all(_stat(member)[0] in ("T", "t", "Z", "X", "") for member in stopped)


def thaw_tree(pid: int) -> None:
    for member in (*descendants_of(pid), pid):
        send(member, signal.SIGCONT)


def kill_tree(pid: int) -> None:
    """Freezes first, so that nothing forks faster than it is found; the root goes last, it keeps the tree together."""
    freeze_tree(pid)
    for member in descendants_of(pid):
        send(member, signal.SIGKILL)
    send(pid, signal.SIGKILL)


def kill_orphans(keep: Container[int]) -> None:
    """Kills and reaps every child of this process that is not in `keep`, with its tree, until there is none."""
    while orphans := [pid for pid in children_of(os.getpid()) if pid not in keep]:
        for pid in orphans:
            kill_tree(pid)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def exists(pid: int) -> bool:
    """True also while the process runs its last instructions, false once it is reaped or a zombie."""
    return _stat(pid)[0] not in ("", "Z", "X")
