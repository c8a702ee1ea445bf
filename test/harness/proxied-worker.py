"""A Python interpreter for the process driver that puts Toxiproxy before each worker, one proxy for each caller.

The worker listens on another socket than the driver asked for. This program listens on the requested socket and
forwards each connection through the proxy of the calling service. Usage: `proxied-worker.py PYTHON API ARGUMENTS...`,
where API is Toxiproxy's URL and ARGUMENTS are the driver's arguments to PYTHON.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import struct
import sys
import urllib.request

CALLERS = ("router", "pool-manager", "egress")
PR_SET_PDEATHSIG = 1


def main() -> None:
    _, python, api, *arguments = sys.argv
    if "--listen" in arguments:
        at = arguments.index("--listen") + 1
        shown = arguments[at].removeprefix("unix:")
        hidden = f"{shown}.w"
        arguments[at] = f"unix:{hidden}"
        worker = os.getpid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == worker:
                nowhere = os.open(os.devnull, os.O_RDWR)
                for standard in range(3):
                    os.dup2(nowhere, standard)
                asyncio.run(forward(shown, hidden, api))
            os._exit(0)
    os.execv(python, [python, *arguments])


async def forward(shown: str, hidden: str, api: str) -> None:
    """Listens on the socket `shown`, and forwards each connection to `hidden` through its caller's proxy."""
    async def to_worker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await join(reader, writer, asyncio.open_unix_connection(hidden))

    ports = {}
    for caller in CALLERS:
        server = await asyncio.start_server(to_worker, "127.0.0.1", 0)
        upstream = server.sockets[0].getsockname()[1]
        ports[caller] = make_proxy(api, f"{caller}→worker {os.path.basename(os.path.dirname(shown))}", upstream)

    async def to_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = ports[caller_of(writer.get_extra_info("socket"))]
        await join(reader, writer, asyncio.open_connection("127.0.0.1", port))

    listener = await asyncio.start_unix_server(to_proxy, shown)
    os.chmod(shown, 0o600)
    await listener.serve_forever()


def make_proxy(api: str, name: str, upstream: int) -> int:
    body = {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}", "enabled": True}
    with urllib.request.urlopen(f"{api}/proxies", json.dumps(body).encode()) as response:
        return int(json.load(response)["listen"].rsplit(":", 1)[1])


def caller_of(connection: socket.socket) -> str:
    """The name of the connecting service, from the command line of its process."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
        command = file.read()
    return next(caller for caller in CALLERS if f"/{caller}/" in command)


async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, other: object) -> None:
    """Copies bytes both ways until one side ends; a reset becomes a normal end on the other side."""
    try:
        far_reader, far_writer = await other  # type: ignore[misc]
    except OSError:
        writer.transport.abort()
        return
    await asyncio.wait(
        [
            asyncio.ensure_future(pump(reader, far_writer)),
            asyncio.ensure_future(pump(far_reader, writer)),
        ]
    )


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


main()
