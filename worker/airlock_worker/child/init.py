"""Process 1 of a run's pid namespace: waits for the script and says how it ended. Its own end kills all that is left.

The script is not process 1 itself, because the kernel lets that one ignore the signals it sends to itself: abort(),
os.kill and a shell's exit status would not work as everywhere.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from typing import NoReturn

from ..linux import kernel

# The zygote holds a few for itself and one for each child; one system call closes the whole range.
MAX_DESCRIPTORS = 1 << 20
_STATUS = struct.Struct("=I")


def split(status: int) -> None:
    """Returns in the script's process; this one stays behind, having touched as little of its memory as possible."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    # Its memory, and with it the word on how the script ended, is for nobody who looks from inside.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        return
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    # A signal that process 1 has a handler for would reach it from inside.
    for number in (signal.SIGCHLD, signal.SIGINT):
        kernel.reset_signal(number)
    # Otherwise the ends of the pipes would outlive the script's.
    os.closerange(0, status)
    os.closerange(status + 1, MAX_DESCRIPTORS)
    _wait_for(pid, status)


def _wait_for(script: int, status: int) -> NoReturn:
    while True:
        pid, how = os.waitpid(-1, 0)
        if pid == script:
            os.write(status, _STATUS.pack(how))
            os._exit(0)


def status_from(word: socket.socket, own: int) -> int:
    """The script's wait status; that of process 1 itself when it ended without a word on the script."""
    data = word.recv(_STATUS.size)
    return int(_STATUS.unpack(data)[0]) if len(data) == _STATUS.size else own
