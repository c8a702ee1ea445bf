"""Matches the connections of one run with the tunnels that the egress service keeps open for that run."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from ...linux import descriptors
from ..log import log
from ..messages import Messages
from .copy import Connection, copy

# Connections that one run may have at a time; further ones are closed. The egress service has the same limit.
_MAX_CONNECTIONS = 256
# Descriptors that connections leave to the starts of further runs.
_LEFT_FOR_RUNS = 40
# Seconds that a tunnel waits for its run to start before it ends, and that a connection waits for a tunnel before it is
# closed.
_PATIENCE_S = 30.0


class RunTunnels:
    """Pairs each connection with a tunnel. Either may come first; a tunnel may even come before the run starts."""

    def __init__(self) -> None:
        self.has_run = False
        # Tunnels that wait for a connection. Each future resolves to its connection, or to None when the run is over.
        self._idle: deque[asyncio.Future[Connection | None]] = deque()
        # Connections that wait for a tunnel, each with the timer that closes it after 30 s.
        self._queued: dict[Connection, asyncio.TimerHandle] = {}
        self._connections: set[Connection] = set()
        self._copying: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Number of tunnels that wait for a connection."""
        return len(self._idle)

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes over a connection from inside the run, for the next free tunnel."""
        if not self.has_run or len(self._connections) >= _MAX_CONNECTIONS or not descriptors.are_left(_LEFT_FOR_RUNS):
            writer.transport.abort()
            return
        connection = Connection(reader, writer)
        self._connections.add(connection)
        self._offer(connection)

    def _offer(self, connection: Connection) -> None:
        if self._idle:
            self._idle.popleft().set_result(connection)
        else:
            timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._give_up, connection)
            self._queued[connection] = timer

    def _give_up(self, connection: Connection) -> None:
        del self._queued[connection]
        self._drop(connection)
        log("error", "the egress service has no tunnel for a connection")

    def _drop(self, connection: Connection) -> None:
        self._connections.discard(connection)
        connection.abort()

    async def serve(self, context: Any, messages: Messages) -> None:
        """Serves one Tunnel call: waits for a connection and copies its bytes. Returns at its end, or when the run is
        over.
        """
        connection = await self._next()
        if connection is None:
            return
        copying = asyncio.ensure_future(copy(connection, len(self._queued), context, messages))
        self._copying.add(copying)
        try:
            await asyncio.wait({copying})
            if not copying.cancelled():
                copying.result()
        finally:
            copying.cancel()
            self._copying.discard(copying)
            self._drop(connection)

    async def _next(self) -> Connection | None:
        if self._queued:
            first = next(iter(self._queued))
            self._queued.pop(first).cancel()
            return first
        idle: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        try:
            await asyncio.wait({idle}, timeout=_PATIENCE_S)
            return await idle if idle.done() or self.has_run else None
        except asyncio.CancelledError:
            if idle.done() and not idle.cancelled() and (connection := idle.result()) is not None:
                # The egress service cancelled the tunnel in the moment in which it got a connection. Another tunnel
                # takes this connection.
                self._offer(connection)
            raise
        finally:
            if idle in self._idle:
                self._idle.remove(idle)

    def close(self) -> None:
        """Ends all tunnels and connections, because the run is over."""
        self.has_run = False
        while self._idle:
            self._idle.popleft().set_result(None)
        for copying in self._copying:
            copying.cancel()
        for timer in self._queued.values():
            timer.cancel()
        self._queued.clear()
        for connection in list(self._connections):
            self._drop(connection)
