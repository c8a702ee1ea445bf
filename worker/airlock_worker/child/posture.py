"""The probe run's measurements: tries in a real run child which layers are in force, and believes nothing else."""

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
    """Returns layers, the names of those that were refused, facts, packages and the scratch directory. Leaves a daemon
    behind that escaped as far as a script can, so that the supervisor can check whether it survives the run.
    """
    layers = sandbox.measure(context, limits)
    found = facts.measure(context.outside)
    _start_daemon()
    refused = sorted(context.problems)
    return {"layers": layers, "refused": refused, "facts": found, "packages": _packages(), "scratch": context.scratch}


def _packages() -> list[tuple[str, str]]:
    """Name and version of every distribution on the import path of scripts; of equal names the first counts."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        # A distribution without a name is what an interrupted installation left, so it is skipped.
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name, distribution.version)
    return sorted(found.items(), key=lambda item: item[0].lower())


def _start_daemon() -> None:
    """Starts the daemon. It keeps the run's standard output open, by which the supervisor detects it."""
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
