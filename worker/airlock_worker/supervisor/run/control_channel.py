"""Reads what one run child sends over its control pipe, and checks each frame's kind, order, size and content."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ...wire import frames
from ...wire.error_text import MAX_ERROR_BYTES, cut
from ...wire.frames import FrameReader, FrameTooLarge, ProtocolViolation
from ...wire.limits import MAX_MODEL_BYTES, MAX_PROMPT_BYTES, Limits
from .ending import REPORTABLE, REPORTABLE_BEFORE, Ending, of_large_result, of_violation
from .json_check import texts_of

# Bytes of the largest frame with an llm request, because JSON can need six bytes for a character of one byte (\u0000).
_LLM_REQUEST_BYTES = 6 * (MAX_PROMPT_BYTES + MAX_MODEL_BYTES) + 64
_DONE_BYTES = 12 * MAX_ERROR_BYTES + 64
# Bytes of the largest frame with measurements of the probe run.
_PROBE_BYTES = 64 * 1024
_READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class LlmRequest:
    prompt: str
    model: str


class ControlChannel:
    """The frames that a run child has sent so far, checked."""

    def __init__(self, limits: Limits, has_begun: Callable[[], bool], probe: bool = False) -> None:
        """`has_begun`: whether the script's code may have run. `probe`: whether a PROBE frame is allowed."""
        sizes = {
            frames.LLM_REQUEST: _LLM_REQUEST_BYTES,
            frames.RESULT: limits.max_result_bytes,
            frames.MEMORY: limits.max_result_bytes,
            frames.DONE: _DONE_BYTES,
        }
        self._reader = FrameReader({frames.PROBE: _PROBE_BYTES, **sizes} if probe else sizes)
        self._has_begun = has_begun
        self.llm_request: LlmRequest | None = None
        self.result: bytes | None = None
        self.memory: bytes | None = None
        self.probe: bytes | None = None
        # The end of the script that the child reported in its DONE frame, or the violation of the protocol for which
        # the run is stopped. None: neither so far.
        self.ending: Ending | None = None
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
                ours = large.kind == frames.RESULT and self.ending is None
                self._condemn(of_large_result(large.size, large.limit) if ours else of_violation(str(large)))

    def read_all(self, fd: int) -> None:
        """Reads all frames that a child which has ended left in the pipe."""
        before = -1
        while not self.violated and before != self._bytes:
            before = self._bytes
            self.read(fd)

    def _condemn(self, ending: Ending) -> None:
        self.violated = True
        self.ending = ending

    def _take(self, kind: bytes, payload: bytes) -> None:
        begun = self._has_begun()
        if self.ending is not None or (not begun and kind != frames.DONE):
            raise ProtocolViolation("a frame out of turn")
        if kind == frames.LLM_REQUEST:
            if self.llm_request is not None:
                raise ProtocolViolation("a frame out of turn")
            self.llm_request = _llm_request(payload)
            return
        # An llm request that is followed by another frame gets no response, because it came from a thread that the
        # script left behind when it ended.
        self.llm_request = None
        if kind == frames.DONE:
            self.ending = _reported(payload, REPORTABLE if begun else REPORTABLE_BEFORE)
        elif kind == frames.RESULT and self.result is None and self.memory is None:
            self.result = payload
        elif kind == frames.MEMORY and self.memory is None:
            self.memory = payload
        elif kind == frames.PROBE and self.probe is None:
            self.probe = payload
        else:
            raise ProtocolViolation("a frame out of turn")


def _members(payload: bytes) -> dict[str, str]:
    """The members of an llm request or of a DONE frame: two texts. Checked before any object is made of other JSON."""
    members = texts_of(payload, 2)
    if members is None:
        raise ProtocolViolation("a frame that is not a JSON object of two texts")
    return members


def _llm_request(payload: bytes) -> LlmRequest:
    match _members(payload):
        case {"prompt": str(prompt), "model": str(model)}:
            if _size(prompt) <= MAX_PROMPT_BYTES and _size(model) <= MAX_MODEL_BYTES:
                return LlmRequest(prompt, model)
    raise ProtocolViolation("a malformed llm request")


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ProtocolViolation("text that is not Unicode") from None


def _reported(payload: bytes, reportable: frozenset[str]) -> Ending:
    match _members(payload):
        case {"end": str(end), "error": str(error)} if end in reportable:
            return Ending(end, "" if end == "completed" else cut([error]) or end)
    raise ProtocolViolation("an unknown ending")
