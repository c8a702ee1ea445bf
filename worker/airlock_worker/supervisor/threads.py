"""Starts the supervisor's threads for long work before any run, because the kernel may refuse it a thread later."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

_THREADS = 4


def start() -> None:
    """From now on `asyncio.to_thread` needs no new thread."""
    executor = ThreadPoolExecutor(_THREADS, "long-work")
    # An executor makes a thread when all that it has are at work. So each waits here for the others.
    together = threading.Barrier(_THREADS)
    with contextlib.suppress(RuntimeError):
        for _ in range(_THREADS):
            executor.submit(_meet, together)
    asyncio.get_running_loop().set_default_executor(executor)


def _meet(together: threading.Barrier) -> None:
    with contextlib.suppress(threading.BrokenBarrierError):
        together.wait(timeout=5)
