"""Process 1 of a run's pid namespace: waits for the script and reports its wait status. Its own end kills the
namespace.

The script is not process 1 itself, because the kernel ignores signals that process 1 sends to itself: abort(), os.kill
and a shell's exit status would not work as elsewhere.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from typing import NoReturn

from ..linux import kernel

# A number above every descriptor of the zygote, which has a few and one for each child. Process 1 closes all
# descriptors up to it with one system call.
MAX_DESCRIPTORS = 1 << 20
_STATUS = struct.Struct("=I")


def split(status: int) -> None:
    """Forks: returns in the script's process; process 1 stays here and writes to as little memory as possible."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    # Process 1 must not be readable from inside the run, because its memory holds the report on how the script ended.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        return
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    # These signals get the kernel's default, because the kernel delivers signals from inside the namespace to process 1
    # only if it handles them.
    for number in (signal.SIGCHLD, signal.SIGINT):
        kernel.reset_signal(number)
    # All descriptors but `status` are closed, because process 1 would keep the run's pipes open after the script's end.
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
    """The script's wait status; `own`, that of process 1, when process 1 ended without reporting it."""
    data = word.recv(_STATUS.size)
    return int(_STATUS.unpack(data)[0]) if len(data) == _STATUS.size else own
