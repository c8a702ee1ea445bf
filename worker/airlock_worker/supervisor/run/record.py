"""The messages of one run so far, kept until the router has recorded the outcome, so that a new caller gets them
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ..messages import Messages
from .kept_output import KeptOutput

_PIECE_BYTES = 1 << 20


class BrokenOff(Exception):
    """The run will have no end, because of an error in the supervisor."""


class Record:
    """Output, open llm request and ending of one run.

    The run's limits bound the record's size. Most of it is in files while the run waits for a response.
    """

    def __init__(self, messages: Messages, directory: str) -> None:
        """`directory`: where files that hold output are created."""
        self._messages = messages
        self._out, self._err = KeptOutput(directory), KeptOutput(directory)
        # Number of bytes cut from stderr (True) and stdout (False) so far.
        self._cut = {False: 0, True: 0}
        self._llm_request: Any = None
        self._ending: list[Any] = []
        # Number of signs so far that the script has ended and the worker is not done with it yet.
        self._signs = 0
        self._broke_off = False
        # Futures of the callers that have all messages so far; they resolve when the record grows.
        self._grown: set[asyncio.Future[None]] = set()

    def write(self, data: bytes, *, is_stderr: bool) -> None:
        (self._err if is_stderr else self._out).append(data)
        self._wake()

    def note_cut(self, count: int, *, is_stderr: bool) -> None:
        """Notes that `count` bytes of the output were cut in all. The number is sent while the run goes on, because a
        run whose worker is lost never sends Finished.
        """
        if count != self._cut[is_stderr]:
            self._cut[is_stderr] = count
            self._wake()

    def ask(self, request: Any, execution_time_ms: int) -> None:
        """Opens an llm request, until `answered`. `execution_time_ms`: milliseconds that the script has run so far."""
        self._llm_request = self._messages.RunResponse(llm_request=request, execution_time_ms=execution_time_ms)
        self._out.pause()
        self._err.pause()
        self._wake()

    def answered(self) -> None:
        self._llm_request = None

    def note_not_done(self) -> None:
        """Tells the router that the script has ended or was killed, and that its documents are still being checked or
        its processes still dying. The router would otherwise take a worker that is silent for long after the run's
        timeout for hung.
        """
        self._signs += 1
        self._wake()

    def finish(self, ending: list[Any]) -> None:
        """Adds the last messages of the run: its documents, then Finished."""
        self._ending = ending
        self._wake()

    def break_off(self) -> None:
        """Ends the record without Finished: each router that follows the run gets BrokenOff."""
        self._broke_off = True
        self._wake()

    def discard(self) -> None:
        """Frees the kept output. No caller can follow afterwards."""
        self._out.discard()
        self._err.discard()

    @property
    def finished(self) -> bool:
        return bool(self._ending)

    def _wake(self) -> None:
        for grown in self._grown:
            if not grown.done():
                grown.set_result(None)

    async def follow(self) -> AsyncIterator[Any]:
        """Yields the run's messages from the beginning to Finished, and waits for more in between. Llm requests that
        were already answered are left out. Raises BrokenOff.
        """
        told_out = told_err = 0
        told_cut = {False: 0, True: 0}
        told_request: Any = None
        told_signs = 0
        while True:
            if piece := self._out.read(told_out, _PIECE_BYTES):
                told_out += len(piece)
                yield self._output(piece, False)
            elif piece := self._err.read(told_err, _PIECE_BYTES):
                told_err += len(piece)
                yield self._output(piece, True)
            elif changed := [name for name in told_cut if told_cut[name] != self._cut[name]]:
                is_stderr = changed[0]
                told_cut[is_stderr] = self._cut[is_stderr]
                output = self._messages.RunOutput(is_stderr=is_stderr, cut_bytes=told_cut[is_stderr])
                yield self._messages.RunResponse(output=output)
            elif self._llm_request is not None and self._llm_request is not told_request:
                told_request = self._llm_request
                yield self._llm_request
            elif self._signs != told_signs and not self._ending:
                told_signs = self._signs
                yield self._messages.RunResponse(document=self._messages.RunDocument())
            elif self._ending:
                for message in self._ending:
                    yield message
                return
            elif self._broke_off:
                raise BrokenOff
            else:
                await self._growth()

    async def _growth(self) -> None:
        grown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._grown.add(grown)
        try:
            await grown
        finally:
            self._grown.discard(grown)

    def _output(self, piece: bytes, is_stderr: bool) -> Any:
        return self._messages.RunResponse(output=self._messages.RunOutput(is_stderr=is_stderr, data=piece))
