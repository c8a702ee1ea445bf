"""The probe run: measures, in a real run child, which layers are in force. Believed is only what is seen here."""

from __future__ import annotations

import os
import signal
from typing import Any

from . import sandbox
from .room import Limits, Room


def measure(room: Room, limits: Limits) -> dict[str, Any]:
    """`daemon` is a process that escaped as far as a script can; the supervisor looks whether it survives the run."""
    return {"layers": sandbox.measure(room, limits), "daemon": _start_daemon(), "scratch": room.scratch}


def _start_daemon() -> int:
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            while True:
                signal.pause()
        os.write(write, str(pid).encode())
        os._exit(0)
    daemon = int(os.read(read, 32))
    os.close(read)
    os.close(write)
    return daemon
