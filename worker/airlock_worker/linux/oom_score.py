"""Where a machine or container runs out of memory, the kernel kills a run, and neither the worker nor a service.

A child has the template's score from its fork on, because to set its own would take memory of each. A run cannot go
back: Landlock closes the file.
"""

from __future__ import annotations

import os

FIRST_OF_ALL = b"1000"
_FILE = "/proc/self/oom_score_adj"


def opened() -> tuple[int, bytes]:
    """In the template: the file, and what stands in it; -1 where there is none."""
    try:
        fd = os.open(_FILE, os.O_RDWR | os.O_CLOEXEC)
        return fd, os.read(fd, 16)
    except OSError:
        return -1, b""


def put(fd: int, score: bytes) -> None:
    # Each object that is made around a fork may move those of the children.
    try:  # noqa: SIM105
        os.pwrite(fd, score, 0)
    except OSError:
        pass
