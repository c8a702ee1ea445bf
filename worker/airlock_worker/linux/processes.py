"""Finds, freezes and kills whole process trees through /proc.

A run child is a child subreaper, so all processes that it starts stay below it while it lives, even daemons that forked
twice. When it dies, its orphans become children of the zygote, and those of the zygote the supervisor's: both are
subreapers too.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Container, Iterator
from typing import TypeVar

from .process_handle import ProcessHandle, handle_of

Found = TypeVar("Found")

# Most passes over a process tree that keeps growing, before it is frozen or killed as far as it was found. A process
# that escapes becomes an orphan, which `kill_orphans` kills.
_MAX_PASSES = 200
# Most passes over the threads of a process, which may end while they are read.
_MAX_PASSES_OF_THREADS = 10
# States of a process that has ended: gone (""), zombie (Z), dead (X).
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
                # The thread has ended, so its children belong to another thread of the process now and the threads are
                # read again; or this kernel has no such file.
                gone = True
        if not gone:
            break
        if not _has_children_files():
            return _children_by_scan(pid)
    return list(found)


def threads_of(pid: int) -> list[int]:
    """Threads of a process; empty when it is gone."""
    try:
        return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def of_a_thread(pid: int, read: Callable[[int], Found | None]) -> Found | None:
    """The first result that `read` finds under /proc for a process, by its pid or by the number of another of its
    threads. None: no thread gives a result, or they end faster than they are read.

    When the first thread ends before the others, /proc/PID calls the process a zombie and does not show its memory.
    """
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
    """State letter and parent's pid of a process, from /proc; ("", 0) when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The fields are those after the last parenthesis, because the command name is in parentheses and may
            # contain any character.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    return fields[0].decode(), int(fields[1])


def cpu_ticks_of(pid: int, and_children: bool = True) -> int:
    """CPU time in clock ticks of the process and of its children that it has reaped; 0 when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return sum(map(int, file.read().rpartition(b")")[2].split()[11 : 15 if and_children else 13]))
    return 0


def parent_of(pid: int) -> int:
    """Pid of the parent; 0 when the process is gone."""
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
    """Whether the tree has more than `limit` processes. Stops counting when it has."""
    count = 0
    open_ends = [pid]
    while open_ends and count <= limit:
        count += 1
        open_ends += children_of(open_ends.pop())
    return count > limit


def _members_of(root: ProcessHandle) -> Iterator[ProcessHandle]:
    """Yields all descendants of a process, parents before their children.

    A handle is held on each while it is examined, because its pid could become another process's. A pid that /proc
    lists as a child is used only if the parent still exists once the handle is taken.
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
    """Stops the process, unless `spare_root`, and all its descendants.

    False when some were still running: call it again a little later.
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
    """Kills a process and all its descendants. Freezes them first, so that none forks faster than it is found; the root
    is killed last, because it keeps the tree together.
    """
    freeze_tree(root)
    for member in _members_of(root):
        member.send(signal.SIGKILL)
    root.send(signal.SIGKILL)


def kill_orphans(keep: Container[int]) -> None:
    """Kills and reaps every child of this process that is not in `keep`, with its descendants, until none is left."""
    while orphans := [pid for pid in children_of(os.getpid()) if pid not in keep]:
        for pid in orphans:
            with handle_of(pid) as orphan:
                kill_tree(orphan)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def exists(pid: int) -> bool:
    """Whether the process exists: true while it executes its last instructions, false once all its threads have
    ended.
    """
    return of_a_thread(pid, _living) is not None


def _living(thread: int) -> int | None:
    return None if _stat(thread)[0] in _ENDED else thread
