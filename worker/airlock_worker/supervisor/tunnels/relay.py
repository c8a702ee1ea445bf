"""Gives what connects inside a run to the run's tunnels. It reads none of the bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from .carry import CHUNK_BYTES
from .run_tunnels import RunTunnels


@contextlib.asynccontextmanager
async def relaying(listener: socket.socket, tunnels: RunTunnels) -> AsyncIterator[None]:
    """As long as the context: `tunnels` take over what connects to `listener`, any listening socket.

    Takes the socket over too; at the end nothing of it is left.
    """
    try:
        server = await asyncio.start_server(tunnels.take, sock=listener, limit=CHUNK_BYTES)
    except BaseException:
        listener.close()
        raise
    try:
        yield
    finally:
        server.close()
