"""Tunnels and connections find each other, carry bytes, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from airlock_worker.supervisor.messages import SERVICE
from airlock_worker.supervisor.tunnels import run_tunnels, tunnels
from airlock_worker.supervisor.tunnels.relay import relaying
from airlock_worker.supervisor.tunnels.tunnels import Tunnels

from ..egress import Egress, Tunnel, egress
from ..harness import MIB, WORKER_ID, M, worker

CHUNK = b"x" * 65536


@dataclass
class Stage:
    """What the supervisor has of tunnels, at a server of its own."""

    tunnels: Tunnels
    calls: Any
    # Calls that the supervisor ended in good order.
    ended: list[Any] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self.writers.append(writer)
        return reader, writer

    def queued(self) -> int:
        return sum(len(run._queued) for run in self.tunnels._runs.values())

    async def tunnel(self, execution_id: str = "e") -> Tunnel:
        return await Egress(self.calls).tunnel(execution_id)

    @contextlib.asynccontextmanager
    async def run(self, execution_id: str = "e") -> AsyncIterator[int]:
        """A run that is there; gives the port of its proxy."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=300)
        port = listener.getsockname()[1]
        with self.tunnels.of_run(execution_id) as own:
            async with relaying(listener, own):
                yield port
        assert listener.fileno() == -1


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    served = Tunnels(M, WORKER_ID)
    ended: list[Any] = []

    async def serve(requests: Any, context: Any) -> None:
        await served.serve(requests, context)
        ended.append(context)

    request, response = M.TunnelRequest, M.TunnelResponse
    handler = grpc.stream_stream_rpc_method_handler(serve, request.FromString, response.SerializeToString)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Tunnel": handler}),))
    server.add_insecure_port(f"unix:{tmp_path}/worker.sock")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/worker.sock") as channel:
            calls = channel.stream_stream(f"/{SERVICE}/Tunnel", request.SerializeToString, response.FromString)
            yield (ready := Stage(served, calls, ended))
    finally:
        for writer in ready.writers:
            writer.close()
        await server.stop(None)
        # Whatever a test did: nothing is kept of runs that are over. The calls that the stopped server cancels learn of
        # it a moment later.
        await until(lambda: served._runs == {})


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_either_may_come_first(stage: Stage) -> None:
    early = await stage.tunnel()
    async with stage.run() as port:
        await stage.connect(port)
        assert await early.opened() is not None
        await stage.connect(port)
        late = await stage.tunnel()
        assert await late.opened() is not None


async def test_a_tunnel_serves_its_own_run_only(stage: Stage) -> None:
    other = await stage.tunnel("other")
    async with stage.run("e") as port, stage.run("other"):
        reader, _ = await stage.connect(port)
        opened = asyncio.ensure_future(other.opened())
        own = await stage.tunnel("e")
        assert await own.opened() is not None
        await own.send(b"yours")
        assert await reader.readexactly(5) == b"yours"
        assert not opened.done()
    assert await opened is None


async def test_it_is_told_how_many_more_are_wanted(stage: Stage) -> None:
    async with stage.run() as port:
        for _ in range(5):
            await stage.connect(port)
        # Once the last one has been accepted, all have.
        await until(lambda: stage.queued() == 5)
        assert [(await (await stage.tunnel()).opened()).queued for _ in range(5)] == [4, 3, 2, 1, 0]


async def test_a_tunnel_whose_run_does_not_come_ends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_tunnels, "_PATIENCE_S", 0.05)
    tunnel = await stage.tunnel("nobody")
    assert await tunnel.opened() is None
    assert await tunnel.code() == grpc.StatusCode.OK


async def test_a_tunnel_waits_as_long_as_its_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_tunnels, "_PATIENCE_S", 0.05)
    async with stage.run() as port:
        tunnel = await stage.tunnel()
        opened = asyncio.ensure_future(tunnel.opened())
        assert not (await asyncio.wait({opened}, timeout=0.2))[0]
        await stage.connect(port)
        assert await opened is not None


async def test_a_connection_for_which_no_tunnel_comes_is_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_tunnels, "_PATIENCE_S", 0.05)
    async with stage.run() as port:
        reader, _ = await stage.connect(port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    assert "no tunnel" in capfd.readouterr().err


async def test_tunnels_that_wait_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "_MAX_WAITING", 3)
    waiting = [await stage.tunnel(name) for name in ("a", "a", "b")]
    await until(lambda: stage.tunnels.waiting() == 3)
    refused = await stage.tunnel("c")
    assert await refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    waiting[0].call.cancel()
    await until(lambda: stage.tunnels.waiting() == 2)
    await stage.tunnel("c")
    await until(lambda: stage.tunnels.waiting() == 3)


@pytest.mark.parametrize("first", [M.TunnelRequest(data=b"x"), M.TunnelRequest(), M.TunnelRequest(open=M.TunnelOpen())])
async def test_the_first_message_says_for_which_run(stage: Stage, first: Any) -> None:
    call = stage.calls()
    await call.write(first)
    assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_tunnel_that_says_nothing_ends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "_FIRST_MESSAGE_TIMEOUT_S", 0.05)
    assert await stage.calls().code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_each_direction_ends_for_itself(stage: Stage) -> None:
    async with stage.run() as port:
        for run_first in (True, False):
            tunnel = await stage.tunnel()
            reader, writer = await stage.connect(port)
            await tunnel.opened()
            if run_first:
                writer.write_eof()
                assert await tunnel.receive() == b""
                await tunnel.send(b"answer")
                await tunnel.end()
                assert await reader.read() == b"answer"
            else:
                await tunnel.end()
                assert await reader.read() == b""
                writer.write(b"more")
                assert await tunnel.receive() == b"more"
            await tunnel.done()
            assert await tunnel.code() == grpc.StatusCode.OK


async def test_a_connection_gets_what_was_sent_before_the_egress_service_was_done(stage: Stage) -> None:
    async with stage.run() as port:
        tunnel = await stage.tunnel()
        reader, _ = await stage.connect(port)
        await tunnel.opened()
        for _ in range(64):
            await tunnel.send(CHUNK)
        await tunnel.done()
        assert await reader.read() == CHUNK * 64
        assert await tunnel.code() == grpc.StatusCode.OK


async def test_bytes_that_a_slow_reader_gets_after_the_end_of_the_tunnel_end_it_in_good_order(stage: Stage) -> None:
    async with stage.run() as port:
        tunnel = await stage.tunnel()
        reader, _ = await stage.connect(port)
        await tunnel.opened()
        (connection,) = stage.tunnels._runs["e"]._connections
        sent = 0
        while connection.writer.transport.get_write_buffer_size() == 0:
            await tunnel.send(CHUNK[:8192])
            sent += 8192
            await asyncio.sleep(0)
        await tunnel.done()
        await until(connection.writer.is_closing)
        assert len(await reader.read()) == sent
        assert await tunnel.code() == grpc.StatusCode.OK


async def test_a_tunnel_ends_with_the_run_whatever_it_was_doing(stage: Stage) -> None:
    async with stage.run() as port:
        used, stuck = await stage.tunnel(), await stage.tunnel()
        connections = [await stage.connect(port) for _ in range(2)]
        await asyncio.gather(used.opened(), stuck.opened())
        waiting = await stage.tunnel()
        sending = asyncio.ensure_future(_send_for_ever(stuck))
        assert not (await asyncio.wait({sending}, timeout=0.3))[0]
        await until(lambda: stage.tunnels.waiting() == 1)
    for tunnel in (used, waiting):
        assert await tunnel.code() == grpc.StatusCode.OK
    # What the stuck one reads is no measure: gRPC for Python calls a call INTERNAL as soon as one of its writes fails.
    await stuck.code()
    await until(lambda: len(stage.ended) == 3)
    with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
        await sending
    for reader, _ in connections:
        with contextlib.suppress(ConnectionResetError):
            await reader.read()


async def _send_for_ever(tunnel: Tunnel) -> None:
    while True:
        await tunnel.send(CHUNK)


async def test_a_connection_that_breaks_off_ends_its_tunnel_and_the_other_way_round(stage: Stage) -> None:
    async with stage.run() as port:
        tunnel = await stage.tunnel()
        _, writer = await stage.connect(port)
        await tunnel.opened()
        # Reset, not closed: that would be the end of one direction.
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        assert await tunnel.code() == grpc.StatusCode.OK
        tunnel = await stage.tunnel()
        reader, _ = await stage.connect(port)
        await tunnel.opened()
        tunnel.call.cancel()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_a_connection_that_is_not_read_holds_up_no_other(stage: Stage) -> None:
    async with stage.run() as port:
        stuck = await stage.tunnel()
        await stage.connect(port)
        await stuck.opened()
        sending = asyncio.ensure_future(_send_for_ever(stuck))
        assert not (await asyncio.wait({sending}, timeout=0.3))[0]
        tunnel = await stage.tunnel()
        reader, _ = await stage.connect(port)
        await tunnel.opened()
        for _ in range(64):
            await tunnel.send(CHUNK)
        await tunnel.done()
        assert len(await reader.read()) == 64 * len(CHUNK)
        assert not sending.done()
        sending.cancel()


async def test_a_run_has_256_connections_and_no_more(stage: Stage) -> None:
    async with stage.run() as port:
        for _ in range(256):
            await stage.connect(port)
        await until(lambda: stage.queued() == 256)
        reader, _ = await stage.connect(port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


BURST = """
import os, socket
address = os.environ["HTTP_PROXY"].rpartition("@")[2].split(":")
connections = [socket.create_connection((address[0], int(address[1])), timeout=20) for _ in range(32)]
for number, connection in enumerate(connections):
    connection.sendall(b"hello %d" % number)
set_result([connection.recv(100).decode() for connection in connections])
"""


async def test_a_burst_is_served_and_leaves_no_word_of_an_error() -> None:
    async with worker(network=True) as client, egress(client.tunnel) as service:
        ended = await client.run(BURST, network=service.route())
        assert ended.value == [f"HELLO {number}" for number in range(32)]
        assert service.served == 32
        await service.until_closed()
        assert "rror" not in client.log_path.read_text()


HOARD = """
import os, socket, time
address = os.environ["HTTP_PROXY"].rpartition("@")[2].split(":")
connections = [socket.create_connection((address[0], int(address[1])), timeout=20) for _ in range(16)]
print("there", flush=True)
time.sleep(60)
"""


async def test_what_a_run_does_not_read_fills_no_memory() -> None:
    async with worker(network=True) as client:
        service = Egress(client.tunnel)
        waiting = [await service.tunnel() for _ in range(16)]
        call = await client.start(HOARD, network=service.route(), timeout_ms=60_000)
        await call.next_event()
        await asyncio.gather(*(tunnel.opened() for tunnel in waiting))
        before = _resident_bytes(client.process.pid)
        sending = [asyncio.ensure_future(_send_for_ever(tunnel)) for tunnel in waiting]
        assert not (await asyncio.wait(sending, timeout=3, return_when=asyncio.FIRST_COMPLETED))[0]
        assert _resident_bytes(client.process.pid) - before < 16 * MIB
        for task in sending:
            task.cancel()
        await call.stop()


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
