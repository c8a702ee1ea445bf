"""One output of a run, kept until its outcome is recorded: a little in memory, the rest in a file.

A run may be paused for days, and a thousand of them wait beside each other. The file has no name, so that it is gone
with the supervisor, however that ends. It holds what the script printed before redaction, secrets included, so it is
encrypted with a key that exists in the supervisor's memory alone.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import BinaryIO

from ..log import log

# While the script runs: enough that most never need a file.
_MOST_IN_MEMORY = 2 << 20
# What stays in memory then, since whoever follows the run has not read it yet.
_TAIL = 1 << 20
# While it is paused.
_MOST_WHILE_PAUSED = 64 << 10
_KEY_BYTES = 32
# The key stream is made in blocks of this size.
_BLOCK = 32 << 10


class KeptOutput:
    """`directory`: where the file is made. Bytes are found at their place from the beginning of the output."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._in_file = 0
        self._key = b""
        # After a failure all stays in memory, as far as the limit of the run's output lets it grow.
        self._failed = False

    def append(self, data: bytes) -> None:
        self._memory += data
        if len(self._memory) > _MOST_IN_MEMORY:
            self._move(len(self._memory) - _TAIL)

    def pause(self) -> None:
        """Nothing is added for a long time."""
        if len(self._memory) > _MOST_WHILE_PAUSED:
            self._move(len(self._memory))

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes; fewer do not mean that it is the end, none do."""
        if at >= self._in_file:
            start = at - self._in_file
            return bytes(self._memory[start : start + size])
        assert self._file is not None
        data = os.pread(self._file.fileno(), min(size, self._in_file - at), at)
        return _crypt(self._key, at, data)

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._memory = bytearray()
        self._in_file = 0

    def _move(self, count: int) -> None:
        if self._failed:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
                self._key = os.urandom(_KEY_BYTES)
            _write_all(self._file.fileno(), _crypt(self._key, self._in_file, self._memory[:count]), self._in_file)
        except OSError as error:
            self._failed = True
            log("warn", "the output of a run stays in memory", reason=error.strerror)
            return
        self._in_file += count
        # A new object: one that has shrunk may keep its memory.
        self._memory = self._memory[count:]


def _write_all(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written


def _crypt(key: bytes, at: int, data: bytes | bytearray) -> bytes:
    """Adds the key stream of this place, which encrypts, or decrypts what was encrypted. No place is written twice."""
    result = []
    done = 0
    while done < len(data):
        block, offset = divmod(at + done, _BLOCK)
        size = min(_BLOCK - offset, len(data) - done)
        stream = hashlib.shake_128(key + block.to_bytes(8, "big")).digest(offset + size)[offset:]
        mixed = int.from_bytes(data[done : done + size], "big") ^ int.from_bytes(stream, "big")
        result.append(mixed.to_bytes(size, "big"))
        done += size
    return b"".join(result)
