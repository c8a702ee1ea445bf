"""Carries bytes between what connects inside a run and the egress service. It reads none of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from .log import log

_BUFFER_BYTES = 64 * 1024
_MAX_CONNECTIONS = 256


@contextlib.asynccontextmanager
async def relaying(listener: socket.socket, address: str) -> AsyncIterator[None]:
    """As long as the context: what connects to `listener`, any listening socket, is carried to `address`.

    Takes the socket over; at the end nothing of it is left. `address` is `unix:/path` or `host:port`.
    """
    relay = _Relay(address)
    try:
        server = await asyncio.start_server(relay.serve, sock=listener, limit=_BUFFER_BYTES)
    except BaseException:
        listener.close()
        raise
    try:
        yield
    finally:
        server.close()
        await relay.close()


class _Relay:
    def __init__(self, address: str) -> None:
        self._address = address
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._tasks) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            await self._connect_and_carry(reader, writer)
        except asyncio.CancelledError:
            # The run is over. Nobody waits for this task's outcome.
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _connect_and_carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            proxy_reader, proxy_writer = await self._connect()
        except OSError as error:
            log("error", "the egress service takes no connection", error=str(error))
            return
        try:
            await asyncio.gather(_carry(reader, proxy_writer), _carry(proxy_reader, writer))
        except OSError:
            # One side broke off; the other is told by the end of its connection.
            pass
        finally:
            proxy_writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("unix:"):
            return await asyncio.open_unix_connection(self._address.removeprefix("unix:"), limit=_BUFFER_BYTES)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), limit=_BUFFER_BYTES)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end of one direction, which it passes on."""
    while data := await reader.read(_BUFFER_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    await writer.drain()
