"""Stands in for the egress service: keeps tunnels to a worker, and answers what comes through them in capitals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from .harness import WORKER_ID, M

EXECUTION_ID = "e"


class Tunnel:
    """One call, as the egress service makes it."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def open(self, execution_id: str = EXECUTION_ID) -> None:
        await self.call.write(M.TunnelRequest(open=M.TunnelOpen(worker_id=WORKER_ID, execution_id=execution_id)))

    async def opened(self) -> Any:
        """Something in the run has connected; None when the call ended instead."""
        message = await self.call.read()
        return None if message is grpc.aio.EOF else message.opened

    async def send(self, data: bytes) -> None:
        await self.call.write(M.TunnelRequest(data=data))

    async def end(self) -> None:
        await self.call.write(M.TunnelRequest(end=M.TunnelEnd()))

    async def receive(self) -> bytes | None:
        """b"" for the end of that direction, None for that of the call."""
        message = await self.call.read()
        return None if message is grpc.aio.EOF else message.data

    async def done(self) -> None:
        """The egress service is done with the connection."""
        await self.call.done_writing()

    async def code(self) -> grpc.StatusCode:
        """How the call ended; what came before is lost."""
        async with asyncio.timeout(5):
            with contextlib.suppress(grpc.aio.AioRpcError):
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            code: grpc.StatusCode = await self.call.code()
            return code


class Egress:
    def __init__(self, tunnels: Any) -> None:
        self._tunnels = tunnels
        self._serving: set[asyncio.Task[None]] = set()
        # Connections that are open now, and those that ever were.
        self.open = 0
        self.served = 0

    def route(self, **more: Any) -> Any:
        return M.RunNetwork(username="route", password="word", **more)

    async def tunnel(self, execution_id: str = EXECUTION_ID) -> Tunnel:
        tunnel = Tunnel(self._tunnels(wait_for_ready=True))
        await tunnel.open(execution_id)
        return tunnel

    def serve(self) -> None:
        """Keeps one more tunnel waiting."""
        task = asyncio.ensure_future(self._serve())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self) -> None:
        tunnel = await self.tunnel()
        try:
            if (opened := await tunnel.opened()) is None:
                return
            for _ in range(1 + opened.queued):
                self.serve()
            self.open += 1
            self.served += 1
            try:
                while data := await tunnel.receive():
                    await tunnel.send(data.upper())
                if data is not None:
                    await tunnel.done()
                    assert await tunnel.receive() is None
            finally:
                self.open -= 1
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The call ended while something was to be sent.
            pass
        finally:
            tunnel.call.cancel()

    async def until_closed(self) -> None:
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        while self._serving:
            tasks = list(self._serving)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def egress(tunnels: Any) -> AsyncIterator[Egress]:
    """`tunnels` makes Tunnel calls. Two tunnels wait, and one more for each that is used."""
    stand_in = Egress(tunnels)
    try:
        for _ in range(2):
            stand_in.serve()
        yield stand_in
    finally:
        await stand_in.close()
