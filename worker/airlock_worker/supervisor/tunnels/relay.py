"""Passes connections from inside a run to the run's tunnels, without looking at the bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from .copy import CHUNK_BYTES
from .run_tunnels import RunTunnels


@contextlib.asynccontextmanager
async def relaying(listener: socket.socket, tunnels: RunTunnels) -> AsyncIterator[None]:
    """While the context lasts, `tunnels` get every connection to `listener`, a listening socket of any family.

    Owns the socket: it is closed at the end.
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
