"""A worker that records when each run passes which step, and writes the records to AIRLOCK_PROFILE at exit."""

from __future__ import annotations

import atexit
import functools
import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from airlock_worker import __main__ as worker
from airlock_worker.supervisor import supervisor, zygote_link
from airlock_worker.supervisor.run import record, run

_stamps: list[tuple[float, str]] = []


def _stamp(what: str) -> None:
    _stamps.append((time.monotonic_ns() / 1e6, f"worker: {what}"))


def _before(owner: Any, method: str, what: str) -> None:
    own: Callable[..., Any] = getattr(owner, method)

    @functools.wraps(own)
    def noting(self: Any, *args: Any, **options: Any) -> Any:
        _stamp(what)
        return own(self, *args, **options)

    # A coroutine function needs a wrapper that is one too, because gRPC treats the two kinds of handlers differently.
    @functools.wraps(own)
    async def noting_async(self: Any, *args: Any, **options: Any) -> Any:
        _stamp(what)
        return await own(self, *args, **options)

    setattr(owner, method, noting_async if inspect.iscoroutinefunction(own) else noting)


def _on_control(own: Callable[[Any], None]) -> Callable[[Any], None]:
    def noting(self: Any) -> None:
        before = self._talk.ending
        own(self)
        if before is None and self._talk.ending is not None:
            _stamp("the script's last word")

    return noting


def main() -> None:
    _before(supervisor.Supervisor, "run", "Run called")
    _before(run.Run, "_begin", "has a spare for it")
    _before(record.Record, "write", "output passed on")
    _before(run.Run, "_finish", "finishing")
    _before(run.Run, "_finished", "finished")
    _before(zygote_link.ZygoteLink, "_end", "the run's processes are gone")
    setattr(run.Run, "_on_control", _on_control(run.Run._on_control))  # noqa: B010
    path = os.environ["AIRLOCK_PROFILE"]

    def write() -> None:
        with open(path, "w") as file:
            json.dump(_stamps, file)

    atexit.register(write)
    sys.argv[0] = "airlock_worker"
    worker.main()


if __name__ == "__main__":
    main()
