"""Detects whether a signal with a Python handler has come, because an exception may then be the handler's."""

from __future__ import annotations

from os import close, pipe, read, set_blocking
from signal import set_wakeup_fd

from . import other_threads


class SignalsHeard:
    """Detects signals while entered, in the main thread. Does nothing in a script of one thread, which waits for
    nothing.
    """

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None
        self._before = -1

    def __enter__(self) -> SignalsHeard:
        if other_threads.are_there():
            try:
                self._pipe = pipe()
                set_blocking(self._pipe[0], False)
                set_blocking(self._pipe[1], False)
                self._before = set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            except (OSError, ValueError):
                # Signals cannot be noticed here: the script has as many descriptors as it may, or this is a thread of a
                # process that it forked.
                pass
        return self

    def came(self) -> bool:
        """Whether a signal has come since the last call."""
        try:
            return self._pipe is not None and read(self._pipe[0], 4096) != b""
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        try:
            set_wakeup_fd(self._before)
        except (OSError, ValueError):
            pass
        for fd in self._pipe or ():
            try:
                close(fd)
            except OSError:
                pass
