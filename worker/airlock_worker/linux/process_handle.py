"""Refers to a process by a descriptor (pidfd), because its pid may belong to another process once it has been
reaped.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


class ProcessHandle:
    """A process to signal. `fd` None: this kernel has no pidfds (gVisor, Linux before 5.3), and the pid is used."""

    def __init__(self, pid: int, fd: int | None) -> None:
        self.pid = pid
        self._fd = fd
        self._is_closed = False

    def send(self, number: signal.Signals) -> None:
        """Sends a signal. A process that has ended gets none, and neither does the next process with its pid."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._send(number)

    def is_there(self) -> bool:
        """Whether the pid still belongs to this process, which is true until it is reaped."""
        try:
            self._send(0)
        except PermissionError:
            pass
        except ProcessLookupError:
            return False
        return True

    def _send(self, number: int) -> None:
        if self._is_closed:
            raise ProcessLookupError
        if self._fd is None:
            os.kill(self.pid, number)
        else:
            signal.pidfd_send_signal(self._fd, number)

    def close(self) -> None:
        """Closes the descriptor. Later signals are not sent, because its number may be another descriptor's by then."""
        if self._fd is not None and not self._is_closed:
            os.close(self._fd)
        self._is_closed = True


def pidfd_of(pid: int) -> int | None:
    """The pidfd of a child that the caller has not reaped. None: no pidfds on this kernel, or no descriptor left."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


@contextlib.contextmanager
def handle_of(pid: int) -> Iterator[ProcessHandle]:
    """A handle on the process that has this pid now. The caller must check that it is the intended one."""
    handle = ProcessHandle(pid, pidfd_of(pid))
    try:
        yield handle
    finally:
        handle.close()
