"""Knows how many file descriptors this process may still open.

The supervisor needs some at every moment: for its callers, and to read /proc, by which it watches, freezes and kills
the processes of runs. So it takes no further run or connection that would use up the last ones.
"""

from __future__ import annotations

import contextlib
import os
import sys
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit

# Descriptors that stay free for callers and for files of /proc.
RESERVE = 48
# Descriptors up to which the limit is raised: enough for thousands of paused runs. With millions, programs that close
# all numbers one by one would take long.
_ENOUGH = 65_536


def raise_limit() -> None:
    """Lets this process open many descriptors if its hard limit permits, because engines start containers with few."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    most = _ENOUGH if hard == RLIM_INFINITY else min(hard, _ENOUGH)
    if RLIM_INFINITY != soft < most:
        with contextlib.suppress(OSError, ValueError):
            setrlimit(RLIMIT_NOFILE, (most, hard))


def limit() -> int:
    """Descriptors that this process may have open at once."""
    soft = getrlimit(RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == RLIM_INFINITY else soft


def are_left(count: int) -> bool:
    """Whether `count` descriptors can be opened, with RESERVE still free afterwards."""
    most = limit()
    try:
        lowest = os.dup(0)
        os.close(lowest)
        # A new descriptor gets the lowest free number. They are counted only when that is a high one, because counting
        # thousands at every start of a run would take long. A few free low numbers among many used ones do no harm,
        # because they can be used once only.
        return lowest < most // 2 or len(os.listdir("/proc/self/fd")) + count + RESERVE <= most
    except OSError:
        return False
