"""Carries the bytes of one connection through one Tunnel call. It reads none of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc

from ..messages import Messages

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, eq=False)
class Connection:
    """What has connected inside a run."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def carry(connection: Connection, queued: int, context: Any, messages: Messages) -> None:
    """Until the egress service is done with the connection, or its other end has broken off.

    `queued`: how many connections of the run wait for a tunnel of their own.
    """
    try:
        await context.write(messages.TunnelResponse(opened=messages.TunnelOpened(queued=queued)))
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(_send(connection.reader, context, messages))
            await _receive(connection.writer, context)
            sending.cancel()
        connection.writer.close()
        # What was sent is on its way still.
        await connection.writer.wait_closed()
    except* OSError:
        # The egress service is told by the end of the call.
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
