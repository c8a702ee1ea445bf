"""Reads what one run child sends over its control pipe, and checks each frame's kind, order, size and content."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ...wire import frames
from ...wire.error_text import MAX_ERROR_BYTES, cut
from ...wire.frames import FrameReader, FrameTooLarge, ProtocolViolation
from ...wire.limits import MAX_MODEL_BYTES, MAX_PROMPT_BYTES, Limits
from .json_check import texts_of
from .verdict import CLAIMABLE, CLAIMABLE_BEFORE, Verdict, of_large_result, of_violation

# JSON can need six bytes for a character of one byte (\u0000).
_QUESTION_BYTES = 6 * (MAX_PROMPT_BYTES + MAX_MODEL_BYTES) + 64
_DONE_BYTES = 12 * MAX_ERROR_BYTES + 64
_PROBE_BYTES = 64 * 1024
_READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class Question:
    prompt: str
    model: str


class ControlChannel:
    """The frames that a run child has sent so far, checked."""

    def __init__(self, limits: Limits, has_begun: Callable[[], bool], probe: bool = False) -> None:
        """`has_begun`: whether the script's code may have run. `probe`: whether a PROBE frame is allowed."""
        sizes = {
            frames.QUESTION: _QUESTION_BYTES,
            frames.RESULT: limits.max_result_bytes,
            frames.MEMORY: limits.max_result_bytes,
            frames.DONE: _DONE_BYTES,
        }
        self._reader = FrameReader({frames.PROBE: _PROBE_BYTES, **sizes} if probe else sizes)
        self._has_begun = has_begun
        self.question: Question | None = None
        self.result: bytes | None = None
        self.memory: bytes | None = None
        self.probe: bytes | None = None
        # The end that the child reported, or the violation that it is stopped for. None: neither yet.
        self.verdict: Verdict | None = None
        self.violated = False
        # Whether every process has closed the pipe and everything written to it has been read.
        self.is_at_end = False
        self._bytes = 0

    def read(self, fd: int) -> None:
        """Reads the pipe once, without waiting, and handles the complete frames."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.is_at_end = not data
        self._bytes += len(data)
        if data and not self.violated:
            try:
                for kind, payload in self._reader.feed(data):
                    self._take(kind, payload)
            except ProtocolViolation as violation:
                self._condemn(of_violation(str(violation)))
            except FrameTooLarge as large:
                ours = large.kind == frames.RESULT and self.verdict is None
                self._condemn(of_large_result(large.size, large.limit) if ours else of_violation(str(large)))

    def read_all(self, fd: int) -> None:
        """Reads all that a child which has ended left in the pipe."""
        before = -1
        while not self.violated and before != self._bytes:
            before = self._bytes
            self.read(fd)

    def _condemn(self, verdict: Verdict) -> None:
        self.violated = True
        self.verdict = verdict

    def _take(self, kind: bytes, payload: bytes) -> None:
        begun = self._has_begun()
        if self.verdict is not None or (not begun and kind != frames.DONE):
            raise ProtocolViolation("a frame out of turn")
        if kind == frames.QUESTION:
            if self.question is not None:
                raise ProtocolViolation("a frame out of turn")
            self.question = _question(payload)
            return
        # A question that is followed by another frame came from a thread that the ending script left behind. It gets no
        # answer.
        self.question = None
        if kind == frames.DONE:
            self.verdict = _claim(payload, CLAIMABLE if begun else CLAIMABLE_BEFORE)
        elif kind == frames.RESULT and self.result is None and self.memory is None:
            self.result = payload
        elif kind == frames.MEMORY and self.memory is None:
            self.memory = payload
        elif kind == frames.PROBE and self.probe is None:
            self.probe = payload
        else:
            raise ProtocolViolation("a frame out of turn")


def _members(payload: bytes) -> dict[str, str]:
    """The members of a question or of a DONE frame: two texts. Checked before any object is made of other JSON."""
    members = texts_of(payload, 2)
    if members is None:
        raise ProtocolViolation("a frame that is no JSON object of two texts")
    return members


def _question(payload: bytes) -> Question:
    match _members(payload):
        case {"prompt": str(prompt), "model": str(model)}:
            if _size(prompt) <= MAX_PROMPT_BYTES and _size(model) <= MAX_MODEL_BYTES:
                return Question(prompt, model)
    raise ProtocolViolation("a question that is none")


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ProtocolViolation("text that is not Unicode") from None


def _claim(payload: bytes, claimable: frozenset[str]) -> Verdict:
    match _members(payload):
        case {"end": str(end), "error": str(error)} if end in claimable:
            return Verdict(end, "" if end == "completed" else cut([error]) or end)
    raise ProtocolViolation("an end that is none")
