"""A run with a network: its proxy settings, its placeholders, and its connections to the egress service."""

from __future__ import annotations

import grpc
import pytest

from airlock_worker.supervisor.run.network import Network

from ..egress import egress
from ..harness import M, worker

CONNECT = """
import os, socket
address = os.environ["HTTP_PROXY"].rpartition("@")[2].split(":")
connection = socket.create_connection((address[0], int(address[1])), timeout=10)
"""


async def test_a_run_finds_its_proxy_in_the_usual_variables() -> None:
    async with worker(network=True) as client, egress(client.tunnel) as service:
        code = "import os; set_result({k: v for k, v in os.environ.items() if 'PROXY' in k.upper()})"
        found = (await client.run(code, network=service.route())).value
    assert found.pop("NO_PROXY") == found.pop("no_proxy") == ""
    names = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    assert set(found) == names | {name.lower() for name in names}
    assert len(set(found.values())) == 1
    assert found["HTTP_PROXY"].startswith("http://route:word@127.0.0.1:")


def test_user_and_password_of_the_proxy_are_percent_encoded() -> None:
    given = Network("us er@:/", "p%w?#[é]~", (), "").for_child(8080)
    assert given["proxy"] == "http://us%20er%40%3A%2F:p%25w%3F%23%5B%C3%A9%5D~@127.0.0.1:8080"


async def test_bytes_go_through_both_ways_and_so_does_their_end() -> None:
    code = f"""{CONNECT}
import threading
text = b"abcdefgh" * 500_000
threading.Thread(target=lambda: (connection.sendall(text), connection.shutdown(socket.SHUT_WR))).start()
answer = b""
while data := connection.recv(1 << 16):
    answer += data
set_result(answer == text.upper())
"""
    async with worker(network=True) as client, egress(client.tunnel) as service:
        assert (await client.run(code, network=service.route())).value is True
        await service.until_closed()


@pytest.mark.parametrize("ending", ["os._exit(0)", "os.kill(os.getpid(), 9)", "while True: pass"])
async def test_connections_end_with_their_run(ending: str) -> None:
    code = f"{CONNECT}\nconnection.sendall(b'x')\nassert connection.recv(1) == b'X'\n{ending}"
    async with worker(network=True) as client, egress(client.tunnel) as service:
        await client.run(code, network=service.route(), timeout_ms=1_000)
        await service.until_closed()


async def test_a_stopped_run_leaves_no_connection() -> None:
    code = f"{CONNECT}\nconnection.sendall(b'x')\nconnection.recv(1)\nprint('there', flush=True)\nwhile True: pass"
    async with worker(network=True) as client, egress(client.tunnel) as service:
        call = await client.start(code, network=service.route())
        await call.next_event()
        assert service.open == 1
        await call.stop()
        await service.until_closed()


async def test_a_placeholder_stands_where_a_secret_would_and_says_so() -> None:
    code = """
import os
bundle = os.environ["SSL_CERT_FILE"]
same = all(os.environ[name] == bundle for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
set_result([settings.get("ERP"), os.environ["ERP"], settings.keys(), same, "AUTHORITY" in open(bundle).read(),
            [settings.describe(key) for key in ("ERP", "KEY", "REGION", "none")]])
"""
    placeholder = M.Placeholder(name="ERP", value="stand-in", host="erp.example", header="authorization")
    async with (
        worker(network=True, secrets={"KEY": "value-of-key"}, settings={"REGION": "eu"}) as client,
        egress(client.tunnel) as service,
    ):
        route = service.route(placeholders=[placeholder], authority_pem="AUTHORITY")
        value, variable, keys, same, is_trusted, described = (await client.run(code, network=route)).value
    assert value == variable == "stand-in"
    assert keys == ["ERP", "KEY", "REGION"]
    assert same and is_trusted
    assert "placeholder" in described[0] and "authorization to https://erp.example" in described[0]
    assert "a secret of the project" in described[1]
    assert described[2:] == ["a setting", None]


async def test_a_run_without_placeholders_trusts_what_it_always_trusts() -> None:
    async with worker(network=True) as client, egress(client.tunnel) as service:
        code = "import os; set_result([k for k in os.environ if 'CERT' in k or 'BUNDLE' in k] + os.listdir())"
        assert (await client.run(code, network=service.route())).value == []


@pytest.mark.parametrize("has_network", [True, False])
async def test_a_run_and_its_worker_must_agree_about_the_network(has_network: bool) -> None:
    async with worker(network=has_network) as client:
        route = None if has_network else M.RunNetwork()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.run("print(1)", network=route)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_run_with_a_network_has_sockets_of_tcp_only_and_cannot_make_closing_wait() -> None:
    code = """
import errno, socket, struct
def tries(*kind):
    try: return socket.socket(*kind).close()
    except OSError as error: return errno.errorcode[error.errno]
INET, INET6, STREAM, DGRAM = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
allowed = [tries(INET, STREAM), tries(INET6, STREAM | socket.SOCK_NONBLOCK, 6), tries(socket.AF_UNIX, DGRAM)]
refused = [tries(INET, DGRAM), tries(INET6, DGRAM, 17), tries(INET, STREAM, 262), tries(INET, STREAM, 132)]
refused += [tries(INET, DGRAM, 136), tries(INET, socket.SOCK_RAW), tries(socket.AF_NETLINK, DGRAM), tries(INET, 5)]
with socket.socket() as lingers:
    lingers.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 12))
    linger = struct.unpack("ii", lingers.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
found = socket.getaddrinfo("localhost", 80, type=STREAM)[0][4][1]
set_result([allowed, set(refused), linger, found])
"""
    async with worker(network=True) as client, egress(client.tunnel) as service:
        assert (await client.run(code, network=service.route())).value == [[None] * 3, ["EPERM"], [0, 0], 80]
