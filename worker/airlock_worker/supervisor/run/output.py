"""One output pipe of a run: what it gives is sent up to a limit, and counted beyond."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from .characters import begun_bytes

_READ_BYTES = 64 * 1024
# Enough to fill a message while the one before is being written; more waits in the pipe and slows the script down.
MAX_PENDING_BYTES = 1 << 20


class OutputPipe:
    def __init__(self, fd: int, is_stderr: bool, max_bytes: int, wake: Callable[[], None]) -> None:
        self.is_stderr = is_stderr
        self._cut_bytes = 0
        self._fd = fd
        self._left = max_bytes
        # The beginning of a character of which the rest is still to come.
        self._begun = b""
        self._wake = wake
        self._pending = bytearray()
        self._reading = False
        self._ended = False
        # When so many bytes are cut, whoever follows is told again.
        self._next_told = 1

    def resume(self) -> None:
        if not self._reading and not self._ended:
            asyncio.get_running_loop().add_reader(self._fd, self._on_readable)
            self._reading = True

    def _pause(self) -> None:
        if self._reading:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._reading = False

    def _on_readable(self) -> None:
        if self._read() and len(self._pending) >= MAX_PENDING_BYTES:
            self._pause()
        is_told = self._cut_bytes >= self._next_told
        if is_told:
            self._next_told = 2 * self._cut_bytes
        if self._pending or self._ended or is_told:
            self._wake()

    def _read(self) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._ended = True
            self._pause()
            return False
        self._keep(self._begun + data)
        return True

    def _keep(self, data: bytes) -> None:
        """As much of it as the limit allows, in whole characters."""
        fits = data[: self._left]
        whole = fits[: len(fits) - begun_bytes(fits)]
        self._pending += whole
        if len(fits) < len(data):
            self._cut_bytes += len(data) - len(whole)
            self._left, self._begun = 0, b""
        else:
            self._left -= len(whole)
            self._begun = fits[len(whole) :]

    def end(self, *, is_killed: bool) -> bytes:
        """What is still to be sent, once, when all has been taken. Of a script that was killed in the middle of a
        character that is nothing; of another one these bytes are all that it wrote.
        """
        last = b"" if is_killed else self._begun
        self._cut_bytes += len(self._begun) - len(last)
        self._begun = b""
        return last

    @property
    def truncated_bytes(self) -> int:
        return self._cut_bytes

    @property
    def is_at_end(self) -> bool:
        """Whether nobody can write to the pipe any more and all that was written has been taken."""
        return self._ended and not self._pending

    def take(self) -> bytes:
        """What is to be sent now, at most one message of it."""
        piece = bytes(self._pending[:MAX_PENDING_BYTES])
        del self._pending[:MAX_PENDING_BYTES]
        self.resume()
        return piece

    def drain(self) -> bytes:
        """After `take` gave nothing: what still stands in the pipe, at most one message of it. Empty: it is empty."""
        while len(self._pending) < MAX_PENDING_BYTES and not self._ended and self._read():
            pass
        return self.take()
