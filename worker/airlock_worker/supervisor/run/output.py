"""Reads one output pipe of a run. Output up to the limit is kept to be sent; output beyond it is only counted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from .characters import begun_bytes

_READ_BYTES = 64 * 1024
# Bytes that were read and not sent yet, at which reading stops: enough to fill a message while the previous one is
# written. Further output waits in the pipe and slows the script down (backpressure).
MAX_PENDING_BYTES = 1 << 20


class OutputPipe:
    def __init__(self, fd: int, is_stderr: bool, max_bytes: int, wake: Callable[[], None]) -> None:
        self.is_stderr = is_stderr
        self._cut_bytes = 0
        self._fd = fd
        # Bytes that are still kept before the limit is reached.
        self._left = max_bytes
        # First bytes of a character at the end of what was read, whose other bytes have not come yet.
        self._begun = b""
        self._wake = wake
        self._pending = bytearray()
        self._reading = False
        self._ended = False
        # Number of cut bytes at which the run records the next notice for the router; it doubles with each notice.
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
        """Reads the pipe once. Returns whether there may be more to read."""
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
        """Keeps as much of the data as the limit allows, in whole characters, and counts the rest as cut."""
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
        """Last bytes to send, after all else was taken: an unfinished character. It is dropped if the script was
        killed, because the kill may have cut it; otherwise the script wrote no more than these bytes.
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
        """Whether every process has closed the pipe and everything written to it has been taken."""
        return self._ended and not self._pending

    def take(self) -> bytes:
        """Takes the bytes to send now, at most one message of them; empty when there are none."""
        piece = bytes(self._pending[:MAX_PENDING_BYTES])
        del self._pending[:MAX_PENDING_BYTES]
        self.resume()
        return piece

    def drain(self) -> bytes:
        """Takes bytes like `take`, but reads the pipe first. Empty: nothing is left in the pipe. Call it when the
        processes have ended or are frozen.
        """
        while len(self._pending) < MAX_PENDING_BYTES and not self._ended and self._read():
            pass
        return self.take()
