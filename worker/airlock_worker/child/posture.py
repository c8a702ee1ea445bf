"""The probe run: measures, in a real run child, which layers are in force. Believed is only what is seen here."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import signal
from typing import Any, NoReturn

from ..linux import kernel
from ..sandbox import sandbox
from ..sandbox.context import SandboxContext
from ..wire.limits import Limits
from . import facts


def measure(context: SandboxContext, limits: Limits) -> dict[str, Any]:
    """Leaves behind a process that escaped as far as a script can; the supervisor looks whether it survives the run."""
    layers = sandbox.measure(context, limits)
    found = facts.measure(context.outside)
    _start_daemon()
    return {"layers": layers, "facts": found, "packages": _packages(), "scratch": context.scratch}


def _packages() -> list[tuple[str, str]]:
    """Name and version of every distribution on the path that scripts import from; the first of equal names counts."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        # What an interrupted installation left has no name.
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name, distribution.version)
    return sorted(found.items(), key=lambda item: item[0].lower())


def _start_daemon() -> None:
    """It holds the run's standard output, by which it is known outside."""
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 0)
    with contextlib.suppress(OSError):
        if kernel.clone(kernel.CLONE_PARENT) == 0:
            _stay()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _stay()
        os._exit(0)
    os.wait()


def _stay() -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        signal.pause()
