"""A run whose caller, a router, may be lost: the run goes on for a grace period, and another router may take over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import grpc

from ..log import log
from ..refusals import refuse
from . import following
from .following import Followed, Following, Left, Outlook
from .run import Run

# Seconds that a message may still take to be written to the caller before its Run call is ended. A caller that does not
# read is not waited for any longer.
_LAST_WRITE_S = 1.0
_SUPERSEDED = "Another router follows this run now."


class CallerBrokeProtocol(Exception):
    """The caller sent a message that is not allowed here. The text may be shown to the caller."""


class AttachableRun:
    def __init__(self, run: Run, execution_id: str, grace_s: float, forget: Callable[[], None]) -> None:
        """`grace_s`: seconds that a run without a caller goes on. `forget` is called once, when no caller can attach
        any more.
        """

        def forget_all() -> None:
            forget()
            run.record.discard()

        self._run = run
        self._execution_id = execution_id
        self._grace_s = grace_s
        self._forget = forget_all
        # The epoch of the latest Run call. A call with a lower epoch is refused, because its router has been
        # superseded.
        self._epoch = 0
        self._following: Following = following.UNFOLLOWED
        self._outlook: Outlook = "going"

    @property
    def is_followed(self) -> bool:
        return isinstance(self._following, Followed)

    @property
    def is_paused(self) -> bool:
        return self._run.is_paused

    @property
    def grace_s(self) -> float:
        """Seconds that the run goes on without a caller before it is stopped. A paused run waits at least as long as
        its llm request may stay open, because it uses only memory.
        """
        return max(self._grace_s, self._run.llm_timeout_s) if self._run.is_paused else self._grace_s

    async def serve(self, context: Any, epoch: int) -> None:
        """Serves one Run call: sends the caller all messages of the run from the beginning, and handles the caller's
        messages, until the call ends.
        """
        if epoch < self._epoch:
            await refuse(context, "run_superseded", _SUPERSEDED)
        if self._outlook == "stopped":
            await refuse(context, "run_over", "The run was stopped.")
        self._epoch = epoch
        superseded = self._take_over()
        writing = asyncio.Lock()
        teller = asyncio.ensure_future(self._tell(context, writing))
        listener = asyncio.ensure_future(self._listen(context))
        over: asyncio.Future[Any] = asyncio.gather(teller, listener)
        # The exception of a call that breaks is fetched in any case, because asyncio logs an exception that is never
        # fetched.
        over.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait({over, superseded}, return_when=asyncio.FIRST_COMPLETED)
            if superseded.done():
                listener.cancel()
                await _silence(teller, writing)
                await refuse(context, "run_superseded", _SUPERSEDED)
            over.result()
        except CallerBrokeProtocol as problem:
            self._stop()
            await _silence(teller, writing)
            await refuse(context, "invalid_request", str(problem))
        finally:
            # Both tasks are cancelled here and not `over`, because `over` is done as soon as one of them fails, and the
            # other may still wait for a caller that does not read.
            teller.cancel()
            listener.cancel()
            if not superseded.done():
                self._leave()

    def _take_over(self) -> asyncio.Future[None]:
        if isinstance(self._following, Left):
            log("info", "a run has a caller again", execution_id=self._execution_id)
        self._following = following.taken_over(self._following)
        return self._following.superseded

    def _leave(self) -> None:
        if self._outlook != "going":
            self._following = following.UNFOLLOWED
            self._forget()
            return
        log("warn", "a run has lost its caller", execution_id=self._execution_id, grace_s=self.grace_s)
        loop = asyncio.get_running_loop()
        self._following = Left(loop.time(), loop.call_later(self._grace_s, self._give_up))

    def _give_up(self) -> None:
        assert isinstance(self._following, Left)
        loop = asyncio.get_running_loop()
        # The run may have been paused since the timer was set. A pause extends the grace period, so the timer is set
        # again.
        left_s = self._following.since_s + self.grace_s - loop.time()
        if left_s > 0:
            self._following = Left(self._following.since_s, loop.call_later(left_s, self._give_up))
            return
        log("warn", "no router attached to a run in time", execution_id=self._execution_id)
        self._stop()
        self._forget()

    def _stop(self) -> None:
        self._outlook = "stopped"
        self._run.stop()

    async def _tell(self, context: Any, writing: asyncio.Lock) -> None:
        async for message in self._run.record.follow():
            async with writing:
                await context.write(message)

    async def _listen(self, context: Any) -> None:
        """Handles the caller's messages until the caller ends its side of the call. Raises CallerBrokeProtocol."""
        while (message := await context.read()) is not grpc.aio.EOF:
            match message.WhichOneof("message"):
                case "answer":
                    problem = self._run.answer(message.answer.llm_request_id, message.answer.response)
                    if problem is not None:
                        raise CallerBrokeProtocol(problem)
                case "stop":
                    self._stop()
                case "recorded" if self._run.record.finished:
                    self._outlook = following.recorded(self._outlook)
                case _:
                    raise CallerBrokeProtocol("a Run call has a first message, then responses, and recorded at its end")


async def _silence(teller: asyncio.Future[None], writing: asyncio.Lock) -> None:
    """Stops sending between two messages, because gRPC does not end a call whose write was cancelled."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WRITE_S), writing:
            teller.cancel()
