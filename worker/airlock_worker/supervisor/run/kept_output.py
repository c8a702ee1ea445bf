"""Keeps one output of a run until its outcome is recorded: a little in memory, the rest in a file.

A run may be paused for days, next to a thousand others. The file has no name, so that it vanishes with the supervisor,
even after a crash. It holds what the script printed before redaction, secrets included, so it is encrypted with a key
that exists only in the supervisor's memory.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import BinaryIO

from ..log import log

# Bytes of one output that are kept in memory while the script runs; most runs never need a file.
_MOST_IN_MEMORY = 2 << 20
# Newest bytes of the output that stay in memory when the rest moves to the file, because the router has usually not
# read them yet.
_TAIL = 1 << 20
# Bytes of one output that are kept in memory while the run is paused. More moves to the file.
_MOST_WHILE_PAUSED = 64 << 10
_KEY_BYTES = 32
# Bytes of a block of the key stream, which is generated block by block.
_BLOCK = 32 << 10


class KeptOutput:
    """One output, whose bytes are addressed by their position from its beginning. `directory`: where the file is
    created.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._in_file = 0
        # Key of the file's encryption; empty until there is a file.
        self._key = b""
        # Whether a write to the file has failed. From then on everything stays in memory, which the run's output limit
        # bounds.
        self._failed = False

    def append(self, data: bytes) -> None:
        self._memory += data
        if len(self._memory) > _MOST_IN_MEMORY:
            self._move(len(self._memory) - _TAIL)

    def pause(self) -> None:
        """Moves output of more than 64 KiB to the file, because a paused run adds none for a long time."""
        if len(self._memory) > _MOST_WHILE_PAUSED:
            self._move(len(self._memory))

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes of the output from position `at`. Only an empty result means the output's end."""
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
        # The rest is copied, because a bytearray that shrinks may keep its memory.
        self._memory = self._memory[count:]


def _write_all(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written


def _crypt(key: bytes, at: int, data: bytes | bytearray) -> bytes:
    """Encrypts or decrypts `data` at position `at`, by XOR with the key stream. No position is ever written twice."""
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
