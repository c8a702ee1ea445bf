"""A run with a network: its proxy settings, its placeholders, and the relay to the egress service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from airlock_worker.relay import relaying

from .harness import M, worker

CONNECT = """
import os, socket
address = os.environ["HTTP_PROXY"].rpartition("@")[2].split(":")
connection = socket.create_connection((address[0], int(address[1])), timeout=10)
"""


class Egress:
    """Stands in for the egress service: answers what it is sent in capitals, and remembers who is connected."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while data := await reader.read(65536):
                writer.write(data.upper())
                await writer.drain()
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.close()

    async def until_closed(self) -> None:
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.01)

    def route(self, **more: Any) -> Any:
        return M.RunNetwork(proxy_address=self.address, username="route", password="word", **more)


@contextlib.asynccontextmanager
async def egress(tmp_path: Path) -> AsyncIterator[Egress]:
    stand_in = Egress(f"unix:{tmp_path}/egress.sock")
    server = await asyncio.start_unix_server(stand_in.serve, f"{tmp_path}/egress.sock")
    try:
        yield stand_in
    finally:
        server.close()


async def test_a_run_finds_its_proxy_in_the_usual_variables(tmp_path: Path) -> None:
    async with egress(tmp_path) as service, worker(network=True) as client:
        code = "import os; set_result({k: v for k, v in os.environ.items() if 'PROXY' in k.upper()})"
        found = (await client.run(code, network=service.route())).value
    assert found.pop("NO_PROXY") == found.pop("no_proxy") == ""
    names = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    assert set(found) == names | {name.lower() for name in names}
    assert len(set(found.values())) == 1
    assert found["HTTP_PROXY"].startswith("http://route:word@127.0.0.1:")


async def test_bytes_go_through_both_ways_and_so_does_their_end(tmp_path: Path) -> None:
    code = f"""{CONNECT}
import threading
text = b"abcdefgh" * 500_000
threading.Thread(target=lambda: (connection.sendall(text), connection.shutdown(socket.SHUT_WR))).start()
answer = b""
while data := connection.recv(1 << 16):
    answer += data
set_result(answer == text.upper())
"""
    async with egress(tmp_path) as service, worker(network=True) as client:
        assert (await client.run(code, network=service.route())).value is True
        await service.until_closed()


@pytest.mark.parametrize("ending", ["os._exit(0)", "os.kill(os.getpid(), 9)", "while True: pass"])
async def test_connections_end_with_their_run(tmp_path: Path, ending: str) -> None:
    code = f"{CONNECT}\nconnection.sendall(b'x')\nassert connection.recv(1) == b'X'\n{ending}"
    async with egress(tmp_path) as service, worker(network=True) as client:
        await client.run(code, network=service.route(), timeout_ms=1_000)
        await service.until_closed()


async def test_a_cancelled_run_leaves_no_connection(tmp_path: Path) -> None:
    code = f"{CONNECT}\nconnection.sendall(b'x')\nconnection.recv(1)\nprint('there', flush=True)\nwhile True: pass"
    async with egress(tmp_path) as service, worker(network=True) as client:
        call = await client.start(code, network=service.route())
        await call.next_event()
        assert service.open == 1
        call.cancel()
        await service.until_closed()


async def test_a_run_whose_egress_is_away_is_told_so_by_its_connection(tmp_path: Path) -> None:
    code = f"{CONNECT}\nset_result(connection.recv(1) == b'')"
    async with worker(network=True) as client:
        route = M.RunNetwork(proxy_address=f"unix:{tmp_path}/nobody.sock", username="u", password="p")
        assert (await client.run(code, network=route)).value is True


async def test_a_placeholder_stands_where_a_secret_would_and_says_so(tmp_path: Path) -> None:
    code = """
import os
bundle = os.environ["SSL_CERT_FILE"]
same = all(os.environ[name] == bundle for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
set_result([settings.get("ERP"), os.environ["ERP"], settings.keys(), same, "AUTHORITY" in open(bundle).read(),
            [settings.describe(key) for key in ("ERP", "KEY", "REGION", "none")]])
"""
    placeholder = M.Placeholder(name="ERP", value="stand-in", host="erp.example", header="authorization")
    async with (
        egress(tmp_path) as service,
        worker(network=True, secrets={"KEY": "value-of-key"}, settings={"REGION": "eu"}) as client,
    ):
        route = service.route(placeholders=[placeholder], authority_pem="AUTHORITY")
        value, variable, keys, same, is_trusted, described = (await client.run(code, network=route)).value
    assert value == variable == "stand-in"
    assert keys == ["ERP", "KEY", "REGION"]
    assert same and is_trusted
    assert "placeholder" in described[0] and "authorization to https://erp.example" in described[0]
    assert "a secret of the project" in described[1]
    assert described[2:] == ["a setting", None]


async def test_a_run_without_placeholders_trusts_what_it_always_trusts(tmp_path: Path) -> None:
    async with egress(tmp_path) as service, worker(network=True) as client:
        code = "import os; set_result([k for k in os.environ if 'CERT' in k or 'BUNDLE' in k] + os.listdir())"
        assert (await client.run(code, network=service.route())).value == []


@pytest.mark.parametrize("has_network", [True, False])
async def test_a_run_and_its_worker_must_agree_about_the_network(tmp_path: Path, has_network: bool) -> None:
    async with worker(network=has_network) as client:
        route = None if has_network else M.RunNetwork(proxy_address="unix:/nowhere")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.run("print(1)", network=route)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_relay_takes_any_listening_socket_and_leaves_nothing(tmp_path: Path) -> None:
    async with egress(tmp_path) as service:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        async with relaying(listener, service.address):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"HELLO"
        assert await reader.read() == b""
        writer.close()
        assert listener.fileno() == -1
        await service.until_closed()
