"""Makes the kernel kill runs first when a machine or container is out of memory, not the worker or a service.

A child gets its score (oom_score_adj) from the template at the fork, because setting its own would cost memory in each
child. A run cannot lower the score, because Landlock closes the file.
"""

from __future__ import annotations

import os

# The highest oom_score_adj: the kernel kills processes with it first.
FIRST_OF_ALL = b"1000"
_FILE = "/proc/self/oom_score_adj"


def opened() -> tuple[int, bytes]:
    """A descriptor of the score's file, and its content; -1 where there is no such file. Called in the template."""
    try:
        fd = os.open(_FILE, os.O_RDWR | os.O_CLOEXEC)
        return fd, os.read(fd, 16)
    except OSError:
        return -1, b""


def put(fd: int, score: bytes) -> None:
    # contextlib is not used here, because each object that is made around a fork may move the children's objects.
    try:  # noqa: SIM105
        os.pwrite(fd, score, 0)
    except OSError:
        pass
