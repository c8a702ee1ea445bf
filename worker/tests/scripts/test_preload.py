"""Packages are imported before any run, and before the sandbox of a run: what holds them by then."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ..harness import worker
from ..sandbox.test_lesser_machines import PLAIN_USER

PACKAGE = "tests.package_that_looks_around"


async def _found_at_import(*wrapper: str) -> Any:
    async with worker("--import", PACKAGE, wrapper=wrapper) as target:
        return (await target.run(f"import sys; set_result(sys.modules[{PACKAGE!r}].FOUND)")).value


@pytest.mark.parametrize("wrapper", [(), PLAIN_USER])
async def test_a_package_finds_no_network_when_it_is_imported(wrapper: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        found = await _found_at_import(*wrapper)
    assert (found["reachable_addresses"], found["listeners"]) == ([], [])


async def test_where_a_run_shares_the_machines_network_so_does_the_import() -> None:
    no_networks = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"'
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = await _found_at_import("unshare", "--user", "--map-root-user", "sh", "-c", no_networks, "sh")
        assert f"127.0.0.1:{server.getsockname()[1]}" in found["listeners"]
