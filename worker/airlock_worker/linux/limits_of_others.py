"""Sets a resource limit of another process, also where root lacks CAP_SYS_RESOURCE, as in containers.

The kernel lets a process set the limits of processes with the same real user. So root takes that real user on for the
moment of the call, in the calling thread only. Its rights stay, because they follow from the effective user.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

from . import kernel


def limit(pid: int, kind: int, soft: int | None = None) -> tuple[int, int]:
    """The soft and the hard limit of process `pid`; first sets the soft one unless `soft` is None. Raises OSError."""
    try:
        return _limit(pid, kind, soft)
    except PermissionError:
        if os.geteuid() != 0:
            raise
    with _real_user(*_user_of(pid)):
        return _limit(pid, kind, soft)


def _limit(pid: int, kind: int, soft: int | None) -> tuple[int, int]:
    before = resource.prlimit(pid, kind)
    if soft is None or before[0] == soft:
        return before
    resource.prlimit(pid, kind, (soft, before[1]))
    return soft, before[1]


def _user_of(pid: int) -> tuple[int, int]:
    """Real user and group of a process, as this process sees them."""
    with open(f"/proc/{pid}/status", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
    return int(fields[b"Uid"].split()[0]), int(fields[b"Gid"].split()[0])


@contextlib.contextmanager
def _real_user(uid: int, gid: int) -> Iterator[None]:
    # Raw system calls change the user of the calling thread only; libc's functions would change that of all threads.
    own_uid, own_gid = os.getuid(), os.getgid()
    kernel.call("setresgid", gid, -1, -1)
    try:
        kernel.call("setresuid", uid, -1, -1)
        try:
            yield
        finally:
            kernel.call("setresuid", own_uid, -1, -1)
    finally:
        kernel.call("setresgid", own_gid, -1, -1)
