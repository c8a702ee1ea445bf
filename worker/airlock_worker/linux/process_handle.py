"""A process by a descriptor (pidfd) and not by its number, which is another process's once it has been reaped."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


class ProcessHandle:
    """`fd` None: this kernel has no pidfds (gVisor, Linux before 5.3), and the number has to do."""

    def __init__(self, pid: int, fd: int | None) -> None:
        self.pid = pid
        self._fd = fd
        self._is_closed = False

    def send(self, number: signal.Signals) -> None:
        """A process that is gone gets nothing, whichever process has its number now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._send(number)

    def is_there(self) -> bool:
        """Whether the number is still this process's: true until it is reaped."""
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
        """From then on it sends nothing: the descriptor's number is another descriptor's as well."""
        if self._fd is not None and not self._is_closed:
            os.close(self._fd)
        self._is_closed = True


def pidfd_of(pid: int) -> int | None:
    """Only for a child that the caller has not reaped. None: there are no pidfds, or no descriptors."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


@contextlib.contextmanager
def handle_of(pid: int) -> Iterator[ProcessHandle]:
    """Of the process that has this number now; the caller then looks whether it is the one that is meant."""
    handle = ProcessHandle(pid, pidfd_of(pid))
    try:
        yield handle
    finally:
        handle.close()
