"""The frames between a run child and the supervisor: one kind byte, four length bytes (big endian), and a JSON text.

Nothing is unpickled or evaluated. The supervisor reads through `FrameReader`, which checks the kind before it believes
the length, because a script may have written the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import readv, set_blocking, write
from struct import Struct

# Kinds of frames from the supervisor to the child. GIVEN holds the project's secrets and network, START the request of
# the run, RESPONSE the agent's response to an llm request.
GIVEN = b"G"
START = b"S"
RESPONSE = b"A"
# Kinds of frames from the child to the supervisor. LLM_REQUEST holds a prompt and a model, RESULT and MEMORY what the
# script gave, PROBE the measurements of the probe run. DONE says how the script ended, and is the last frame.
LLM_REQUEST = b"Q"
RESULT = b"R"
MEMORY = b"M"
PROBE = b"P"
DONE = b"D"

_HEADER = Struct(">cI")


class ProtocolViolation(Exception):
    """The bytes cannot come from Airlock's code in the child."""


class FrameTooLarge(Exception):
    """A well-formed frame of a known kind announces more bytes than its limit."""

    def __init__(self, kind: bytes, size: int, limit: int) -> None:
        super().__init__(f"a frame of {size} bytes where at most {limit} are allowed")
        self.kind = kind
        self.size = size
        self.limit = limit


def pack(kind: bytes, payload: bytes) -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload


def send(fd: int, *frames: tuple[bytes, bytes]) -> None:
    """Sends frames, blocking; for the child. Frames sent together wake the reader once."""
    view = memoryview(b"".join(pack(kind, payload) for kind, payload in frames))
    while view:
        try:
            view = view[write(fd, view) :]
        except BlockingIOError:
            # The script has made the descriptor non-blocking, so it is made blocking again and the write is repeated.
            set_blocking(fd, True)


def receive(fd: int) -> tuple[bytes, bytes | bytearray] | None:
    """Receives one frame, blocking; for the child, which trusts the supervisor. None at the end of the stream."""
    header = _read_exactly(fd, _HEADER.size)
    if header is None:
        return None
    kind, size = _HEADER.unpack(header)
    payload = _read_exactly(fd, size)
    return None if payload is None else (kind, payload)


def _read_exactly(fd: int, size: int) -> bytearray | None:
    # The whole frame is read into one buffer, because the number of pieces in which it arrives must not move objects
    # that the script makes later.
    data = bytearray(size)
    with memoryview(data) as view:
        at = 0
        while at < size:
            count = readv(fd, [view[at:]])
            if count == 0:
                return None
            at += count
    return data


class FrameReader:
    """Cuts a stream into frames. `limits`: the allowed kinds, each with its largest payload in bytes."""

    def __init__(self, limits: Mapping[bytes, int]) -> None:
        self._limits = limits
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._buffer)
            limit = self._limits.get(kind)
            if limit is None:
                raise ProtocolViolation("bytes that are not a frame")
            if size > limit:
                raise FrameTooLarge(kind, size, limit)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield kind, payload

    @property
    def inside_a_frame(self) -> bool:
        return len(self._buffer) > 0
