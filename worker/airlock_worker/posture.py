"""The probe run: measures, in a real run child, which layers are in force. Believed is only what is seen here."""

from __future__ import annotations

import os
import signal
from typing import Any

from . import facts, sandbox
from .room import Limits, Room


def measure(room: Room, limits: Limits) -> dict[str, Any]:
    """Leaves behind a process that escaped as far as a script can; the supervisor looks whether it survives the run."""
    layers = sandbox.measure(room, limits)
    found = facts.measure(room.outside)
    _start_daemon()
    return {"layers": layers, "facts": found, "scratch": room.scratch}


def _start_daemon() -> None:
    """It holds the run's standard output, by which it is known outside."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            while True:
                signal.pause()
        os._exit(0)
    os.wait()
