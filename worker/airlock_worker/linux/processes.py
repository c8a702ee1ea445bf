"""Finding, freezing and killing whole process trees through /proc.

A run child is a child subreaper, so all that it starts stays below it while it lives, double-forked daemons too. When
it dies its orphans fall to the zygote, and when the zygote dies to the supervisor: both are subreapers as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Container, Iterator
from typing import TypeVar

from .process_handle import ProcessHandle, handle_of

Found = TypeVar("Found")

# Passes over a tree that keeps growing before the next step is taken anyway: what escapes a pass is an orphan later.
_MAX_PASSES = 200
# Likewise over the threads of a process, which may end while they are looked at.
_MAX_PASSES_OF_THREADS = 10
_ENDED = ("", "Z", "X")


def children_of(pid: int) -> list[int]:
    found: dict[int, None] = {}
    for _ in range(_MAX_PASSES_OF_THREADS):
        gone = False
        for thread in threads_of(pid):
            try:
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    found.update(dict.fromkeys(map(int, file.read().split())))
            except OSError:
                # The thread has ended, and another of the process has its children; or this kernel has no such file.
                gone = True
        if not gone:
            break
        if not _has_children_files():
            return _children_by_scan(pid)
    return list(found)


def threads_of(pid: int) -> list[int]:
    """Empty when the process is gone."""
    try:
        return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def of_a_thread(pid: int, read: Callable[[int], Found | None]) -> Found | None:
    """What `read` finds under /proc for the process: by its own number, or by that of another thread. When the first
    thread has ended before the others, /proc/PID calls the process a zombie, and tells nothing of its memory. None: no
    thread gives anything, or they end faster than they are looked at."""
    found = read(pid)
    for _ in range(_MAX_PASSES_OF_THREADS):
        others = [thread for thread in threads_of(pid) if thread != pid]
        if found is not None or not others:
            break
        for thread in others:
            if (found := read(thread)) is not None:
                break
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


def cpu_ticks_of(pid: int, and_children: bool = True) -> int:
    """What the process used, and its children that it has reaped; 0 when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return sum(map(int, file.read().rpartition(b")")[2].split()[11 : 15 if and_children else 13]))
    return 0


def parent_of(pid: int) -> int:
    """0 when the process is gone."""
    return _stat(pid)[1]


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


def _members_of(root: ProcessHandle) -> Iterator[ProcessHandle]:
    """All below a process, parents before their children. Each is held while it is looked at: a number that was read is
    the child's only if its parent is still there once the number is held.
    """
    open_ends = [(root.pid, root)]
    with contextlib.ExitStack() as held:
        while open_ends:
            parent_pid, parent = open_ends.pop()
            for pid in children_of(parent_pid):
                child = held.enter_context(handle_of(pid))
                if _stat(pid)[1] == parent_pid and parent.is_there():
                    yield child
                    open_ends.append((pid, child))


def freeze_tree(root: ProcessHandle, spare_root: bool = False) -> bool:
    """Stops the process, unless it is to be spared, and all below it.

    False when some of it was still moving: call again a little later.
    """
    stopped: set[int] = set()
    if not spare_root:
        root.send(signal.SIGSTOP)
        stopped.add(root.pid)
    for _ in range(_MAX_PASSES):
        fresh = 0
        for member in _members_of(root):
            if member.pid not in stopped:
                member.send(signal.SIGSTOP)
                stopped.add(member.pid)
                fresh += 1
        if not fresh:
            break
    return all(_stat(thread)[0] in ("T", "t", *_ENDED) for pid in stopped for thread in threads_of(pid))


def thaw_tree(root: ProcessHandle) -> None:
    for member in _members_of(root):
        member.send(signal.SIGCONT)
    root.send(signal.SIGCONT)


def kill_tree(root: ProcessHandle) -> None:
    """Freezes first, so that nothing forks faster than it is found; the root goes last, it keeps the tree together."""
    freeze_tree(root)
    for member in _members_of(root):
        member.send(signal.SIGKILL)
    root.send(signal.SIGKILL)


def kill_orphans(keep: Container[int]) -> None:
    """Kills and reaps every child of this process that is not in `keep`, with its tree, until there is none."""
    while orphans := [pid for pid in children_of(os.getpid()) if pid not in keep]:
        for pid in orphans:
            with handle_of(pid) as orphan:
                kill_tree(orphan)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def exists(pid: int) -> bool:
    """True also while the process runs its last instructions, false once all of its threads have ended."""
    return of_a_thread(pid, _living) is not None


def _living(thread: int) -> int | None:
    return None if _stat(thread)[0] in _ENDED else thread
