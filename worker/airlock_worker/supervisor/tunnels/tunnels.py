"""Serves Tunnel calls, which the egress service keeps open to this worker, each for one run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import grpc

from ..messages import Messages
from ..refusals import refuse
from ..worker_id_check import refuse_unless_for
from .run_tunnels import RunTunnels

# Tunnels without a connection, of all runs of this worker together. Further Tunnel calls are refused; each run needs a
# few.
_MAX_WAITING = 1024
_FIRST_MESSAGE_TIMEOUT_S = 10.0


class Tunnels:
    def __init__(self, messages: Messages, worker_id: str) -> None:
        self._messages = messages
        self._worker_id = worker_id
        self._runs: dict[str, RunTunnels] = {}

    @contextlib.contextmanager
    def of_run(self, execution_id: str) -> Iterator[RunTunnels]:
        """The tunnels of a run that has started; they end with the context."""
        run = self._runs.setdefault(execution_id, RunTunnels())
        run.has_run = True
        try:
            yield run
        finally:
            self._runs.pop(execution_id, None)
            run.close()

    def waiting(self) -> int:
        """Number of tunnels that wait for a connection."""
        return sum(run.waiting for run in self._runs.values())

    async def serve(self, request_iterator: Any, context: Any) -> None:
        """Serves one Tunnel call of the egress service. A tunnel whose run does not start ends after 30 s."""
        execution_id = await self._execution_id(context)
        if self.waiting() >= _MAX_WAITING:
            await refuse(context, "overloaded", f"{_MAX_WAITING} tunnels wait at this worker already.")
        run = self._runs.setdefault(execution_id, RunTunnels())
        try:
            await run.serve(context, self._messages)
        finally:
            if not run.has_run and not run.waiting and self._runs.get(execution_id) is run:
                del self._runs[execution_id]

    async def _execution_id(self, context: Any) -> str:
        try:
            message = await asyncio.wait_for(context.read(), _FIRST_MESSAGE_TIMEOUT_S)
        except TimeoutError:
            await refuse(context, "deadline_exceeded", "A Tunnel must name its run at once, in its first message.")
        if message is grpc.aio.EOF or message.WhichOneof("message") != "open" or not message.open.execution_id:
            text = "The first message of a Tunnel must be its open, with an execution_id."
            await refuse(context, "invalid_request", text)
        await refuse_unless_for(self._worker_id, message.open.worker_id, context)
        execution_id: str = message.open.execution_id
        return execution_id
