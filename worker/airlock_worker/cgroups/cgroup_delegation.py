"""Cgroups of version 2: finds the part of the tree that the worker may divide, and prepares it for that."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable

from ..linux.kernel_files import words, write
from .cgroup_membership import Membership

# Name of the child cgroup into which the processes of a cgroup are moved, before other children of it get controllers.
_LEAF = "airlock-services"
# How often the processes of a cgroup are listed and moved at most; they may fork in between.
_PASSES = 10


def delegated(membership: Membership) -> str:
    """The cgroup in which the worker may make others: its own, or the one above when its own is a leaf. Raises OSError
    with EPERM when there is none.
    """
    own, above = membership.directory, os.path.dirname(membership.directory)
    # The worker may divide the top of the tree that it sees, because this is its container's own or, for root, the
    # machine's.
    if own == membership.mount or _is_marked(own):
        return own
    if os.path.basename(own) == _LEAF or _is_marked(above):
        return above
    # The worker must not divide any other cgroup, because that would bypass limits set by the system, or disturb the
    # program that manages the cgroup.
    raise OSError(errno.EPERM, "the worker's cgroup is not delegated to it (with systemd: Delegate=yes)")


def _is_marked(directory: str) -> bool:
    """Whether systemd has marked the cgroup as delegated."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(directory, name) == b"1":
                return True
    return False


def enable(directory: str, controllers: Iterable[str]) -> None:
    """Enables controllers for the children of a cgroup, which must have these controllers itself."""
    file = f"{directory}/cgroup.subtree_control"
    there = words(file)
    wanted = " ".join(f"+{name}" for name in controllers if name not in there)
    if not wanted:
        return
    try:
        write(file, wanted)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        move_down(directory)
        write(file, wanted)


def move_down(directory: str) -> None:
    """Moves the processes of a cgroup to a leaf, because a cgroup must not have both processes and children with
    controllers.
    """
    leaf = f"{directory}/{_LEAF}"
    os.makedirs(leaf, exist_ok=True)
    for _ in range(_PASSES):
        pids = words(f"{directory}/cgroup.procs")
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                write(f"{leaf}/cgroup.procs", pid)
