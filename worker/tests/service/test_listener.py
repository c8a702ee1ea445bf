"""A run with a network reaches one listener, which its supervisor holds; there is no other address."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from airlock_worker.cgroups.worker_cgroups import WorkerCgroups
from airlock_worker.child.no_network import NO_NETWORK
from airlock_worker.supervisor import probe
from airlock_worker.supervisor.run.start import Start
from airlock_worker.supervisor.zygote_link import ZygoteLink

from ..harness import Worker

CODE = """
import socket
with socket.create_connection(("127.0.0.1", 3128)) as proxy:
    proxy.sendall(b"hello")
    print(proxy.recv(10).decode())
for target in (("127.0.0.1", 8000), ("192.0.2.1", 80), ("169.254.169.254", 80)):
    try: socket.create_connection(target, timeout=1); print("reached", target)
    except OSError: pass
for family in (socket.AF_NETLINK, socket.AF_PACKET, socket.AF_ALG):
    try: socket.socket(family, socket.SOCK_RAW); print("family", family)
    except PermissionError: pass
"""


async def test_a_run_with_a_network_reaches_its_listener_only(tmp_path: Path) -> None:
    cgroups = WorkerCgroups()
    link = ZygoteLink(sys.executable, str(tmp_path), [], [], "sh", cgroups)
    link.start()
    try:
        await link.ready
        limits = replace(probe.LIMITS, network=True)
        link.keep_spares(0, limits)
        process = await link.take()
        assert process.listener is not None
        process.send(Start("e", CODE, 0, {}, "", (), {}, limits).frames())
        with socket.socket(fileno=os.dup(process.listener)) as listener:
            connection = await asyncio.to_thread(lambda: listener.accept()[0])
            with connection:
                assert connection.recv(10) == b"hello"
                connection.sendall(b"answer")
        assert await asyncio.wait_for(process.exited, 10) == 0
        assert os.read(process.out, 1000) == b"answer\n"
        await process.release()
    finally:
        link.stop()
        await cgroups.remove()


async def test_a_run_without_a_network_has_no_sockets_but_pairs(shared: Worker) -> None:
    code = """
import asyncio, socket
a, b = socket.socketpair()
asyncio.run(asyncio.sleep(0))
try: socket.socket(); set_result("made")
except PermissionError as error: set_result(str(error))
"""
    assert (await shared.run(code)).value == f"[Errno 1] Operation not permitted: {NO_NETWORK}"
