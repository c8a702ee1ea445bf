"""Version 2 of cgroups: which part of the tree is for this worker to divide, and how it is made ready for that."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable

from ..linux.kernel_files import words, write
from .cgroup_membership import Membership

# Where the processes go that stood where children are to be.
_LEAF = "airlock-services"
_PASSES = 10


def delegated(membership: Membership) -> str:
    """The directory of the worker's own cgroup or, when it is in a leaf of what it was given, of the one above."""
    own, above = membership.directory, os.path.dirname(membership.directory)
    # What a process sees as the top is its container's, or the machine's for root.
    if own == membership.mount or _is_marked(own):
        return own
    if os.path.basename(own) == _LEAF or _is_marked(above):
        return above
    # In another it would go round the limits that somebody set, or stand in the way of who manages it.
    raise OSError(errno.EPERM, "the worker's cgroup is not delegated to it (with systemd: Delegate=yes)")


def _is_marked(directory: str) -> bool:
    """As systemd marks what it delegates."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(directory, name) == b"1":
                return True
    return False


def enable(directory: str, controllers: Iterable[str]) -> None:
    """Lets the children of a cgroup have these controllers, which it must have itself."""
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
    """A cgroup has processes or children with controllers, never both: its processes go to a leaf."""
    leaf = f"{directory}/{_LEAF}"
    os.makedirs(leaf, exist_ok=True)
    for _ in range(_PASSES):
        pids = words(f"{directory}/cgroup.procs")
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                write(f"{leaf}/cgroup.procs", pid)
