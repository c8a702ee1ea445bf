"""The script's end of the control pipe and of the orders pipe: llm requests, responses, last frames.

An exception can interrupt any line here, because a signal handler of the script raises, or another thread sets one.
Partly sent or read frames are remembered, so that the next call continues there. For that, each step that moves bytes
also counts them, in one call of C code, within which no handler runs.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from operator import add
from os import close, fstat, pipe, readv, set_blocking, write
from struct import Struct
from typing import Any

from ..wire import frames

_HEADER = Struct(">cI")


class _Outgoing:
    """A frame that is being sent. `asked`: number of llm requests sent, this frame included."""

    def __init__(self, data: bytes, asked: int) -> None:
        self.rest = memoryview(data)
        self.sent = [0]
        self.asked = asked


class _Incoming:
    """The frame that is being read. `answered`: number of responses before it."""

    def __init__(self, answered: int) -> None:
        self.header = bytearray(_HEADER.size)
        self.header_read = [0]
        # The whole frame is read into one buffer, because the number of pieces in which it arrives must not move
        # objects that the script makes later.
        self.payload: bytearray | None = None
        self.payload_read = [0]
        self.answered = answered


class ScriptChannel:
    def __init__(self, control: int, orders: int) -> None:
        self._control = control
        self._orders = orders
        # A lock, so that a thread that the script left behind does not send in the middle of another frame.
        self._sending = RLock()
        self._last: tuple[tuple[bytes, bytes], ...] = ()
        self._outgoing = _Outgoing(b"", 0)
        self._incoming = _Incoming(0)

    def move_to(self, control: int) -> None:
        """From now on writes the control pipe through this descriptor."""
        self._control = control

    def keep(self) -> None:
        """Lets no other thread send from now on."""
        self._sending.acquire()

    def ask(self, llm_request: bytes) -> bytearray:
        """Sends an llm request and returns the response as JSON. One thread at a time. Raises RuntimeError when the
        supervisor is gone.
        """
        # Raises an OSError when the script has closed the descriptor of the responses. The llm request is not sent
        # then, because the next frame would be out of order.
        fstat(self._orders)
        with self._sending:
            self._send_rest()
        # Reads responses to earlier llm requests first. There is one when an exception made the script abandon its llm
        # request.
        while self._incoming.answered < self._outgoing.asked:
            self._next_response()
        with self._sending:
            self._outgoing = _Outgoing(frames.pack(frames.LLM_REQUEST, llm_request), self._outgoing.asked + 1)
            self._send_rest()
        return self._next_response()

    def say_last(self, *words: tuple[bytes, bytes]) -> None:
        """Sends the last frames. After an exception, call it again with the same frames: it continues. Raises OSError
        when the control pipe is closed.
        """
        self._sending.acquire()
        if self._last is not words:
            self._send_rest()
            # The frames are joined into one copy only, because the script may have used nearly all of its memory.
            last = b"".join([part for kind, text in words for part in (_HEADER.pack(kind, len(text)), text)])
            self._outgoing = _Outgoing(last, self._outgoing.asked)
            self._last = words
        self._send_rest()

    def _send_rest(self) -> None:
        frame = self._outgoing
        while frame.sent[0] < len(frame.rest):
            _move(frame.sent, write, self._control, frame.rest[frame.sent[0] :])

    def _next_response(self) -> bytearray:
        frame = self._incoming
        self._read(frame.header, frame.header_read)
        kind, size = _HEADER.unpack(frame.header)
        if kind != frames.RESPONSE:
            raise RuntimeError("llm.complete: the worker sent something other than the response")
        if frame.payload is None:
            frame.payload = bytearray(size)
        self._read(frame.payload, frame.payload_read)
        self._incoming = _Incoming(frame.answered + 1)
        return frame.payload

    def _read(self, data: bytearray, read: list[int]) -> None:
        with memoryview(data) as view:
            while read[0] < len(data):
                before = read[0]
                _move(read, readv, self._orders, [view[before:]])
                if read[0] == before:
                    raise RuntimeError("llm.complete: the worker ended before the response came")


def _move(total: list[int], move: Callable[[int, Any], int], fd: int, data: Any) -> None:
    """Calls `move` and adds the bytes moved to `total`, with no line of Python in between."""
    try:
        total[0:1] = map(add, total, map(move, (fd,), (data,)))
    except BlockingIOError:
        # The script has made the descriptor non-blocking, so it is made blocking again and the move is repeated.
        set_blocking(fd, True)
        total[0:1] = map(add, total, map(move, (fd,), (data,)))


def rehearse() -> None:
    """Sends and receives once over pipes of its own, in the template, so that children share the memory pages
    that this needs.
    """
    heard, control = pipe()
    orders, answers = pipe()
    try:
        write(answers, frames.pack(frames.RESPONSE, b'""'))
        channel = ScriptChannel(control, orders)
        channel.ask(b"{}")
        channel.say_last((frames.DONE, b"{}"))
    finally:
        for fd in (heard, control, orders, answers):
            close(fd)
