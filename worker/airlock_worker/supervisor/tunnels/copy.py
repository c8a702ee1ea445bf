"""Copies the bytes of one connection through one Tunnel call, in both directions, without looking at them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc

from ..messages import Messages

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, eq=False)
class Connection:
    """A connection from inside a run to the run's proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def abort(self) -> None:
        """Breaks the connection off. A connection that has ended, or ends without bytes left to write, stays as it is:
        asyncio raises an AttributeError when one is aborted whose last bytes were written after `close`.
        """
        transport = self.writer.transport
        if not transport.is_closing() or transport.get_write_buffer_size() > 0:
            transport.abort()


async def copy(connection: Connection, queued: int, context: Any, messages: Messages) -> None:
    """Copies until the egress service closes the connection, or the run breaks it off.

    `queued`: number of the run's connections that still wait for a tunnel.
    """
    try:
        await context.write(messages.TunnelResponse(opened=messages.TunnelOpened(queued=queued)))
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(_send(connection.reader, context, messages))
            await _receive(connection.writer, context)
            sending.cancel()
        connection.writer.close()
        # Waits until the last bytes from the egress service are written to the run's connection.
        await connection.writer.wait_closed()
    except* OSError:
        # The connection inside the run broke. The egress service notices that, because the Tunnel call ends now.
        pass


async def _send(reader: asyncio.StreamReader, context: Any, messages: Messages) -> None:
    while data := await reader.read(CHUNK_BYTES):
        await context.write(messages.TunnelResponse(data=data))
    await context.write(messages.TunnelResponse(end=messages.TunnelEnd()))


async def _receive(writer: asyncio.StreamWriter, context: Any) -> None:
    while (message := await context.read()) is not grpc.aio.EOF:
        if message.WhichOneof("message") == "data":
            writer.write(message.data)
            await writer.drain()
        else:
            writer.write_eof()
