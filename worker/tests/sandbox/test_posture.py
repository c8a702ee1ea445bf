"""The facts that the probe run tells are those of the checked-in expectation, and a run's own are no others."""

from __future__ import annotations

import importlib.metadata
import inspect
from typing import Any

from airlock_worker.child import facts
from airlock_worker.supervisor import probe

from ..egress import egress
from ..harness import MIB, WORKER_ROOT, Worker, worker
from ..posture import EXPECTED, kind
from .test_lesser_machines import NO_NAMESPACES

MEASURE = f"{inspect.getsource(facts)}\nset_result(measure({{}}))"


def _comparable(found: dict[str, list[str]], memory_bytes: int) -> dict[str, list[str]]:
    """Without what differs from machine to machine."""
    # The memory limit, what the interpreter had before, and what may be asked for and not used.
    sizes = {name: int(size) for name, size in (limit.split() for limit in found["limits"]) if name in ("AS", "DATA")}
    assert memory_bytes < sizes["DATA"] < memory_bytes + 1024 * MIB < sizes["AS"] < memory_bytes + 9 * 1024 * MIB
    # Where this checkout lies below /tmp, the run's own /tmp has the directories above it.
    above = [str(path) for path in WORKER_ROOT.parents if len(path.parts) > 2]
    return {
        **found,
        "limits": [limit for limit in found["limits"] if limit.split()[0] not in sizes],
        "writable_directories": [path for path in found["writable_directories"] if path not in above],
    }


async def _told(target: Worker) -> dict[str, list[str]]:
    status = await target.until_state("READY")
    return {fact.name: list(fact.values) for fact in status.isolation_facts}


async def test_the_probe_run_finds_what_is_expected(shared: Worker) -> None:
    found = _comparable(await _told(shared), probe.LIMITS.memory_bytes)
    assert found == EXPECTED[kind()]["facts"]


async def test_the_probe_run_tells_what_scripts_can_import(shared: Worker) -> None:
    status = await shared.until_state("READY")
    found = {package.name: package.version for package in status.installed_packages}
    assert found["grpcio"] == importlib.metadata.version("grpcio")
    assert list(found) == sorted(found, key=str.lower)


async def test_a_script_finds_around_itself_what_the_probe_run_found(shared: Worker) -> None:
    found = _comparable((await shared.run(MEASURE)).value, 512 * MIB)
    assert found == _of_a_run()


async def test_a_run_with_a_network_finds_its_relay_and_no_other_address() -> None:
    async with worker(network=True) as target, egress(target.tunnel) as service:
        measured = (await target.run(MEASURE, network=service.route())).value
    found = _comparable(measured, 512 * MIB)
    reached = found["reachable_addresses"]
    # A kernel may have no IPv6.
    assert reached in (["127.0.0.1"], ["127.0.0.1", "::1"])
    assert found == {**_of_a_run(), "reachable_addresses": reached, "listeners": ["127.0.0.1:3128"]}


async def test_what_a_lesser_machine_gives_is_told_as_it_is() -> None:
    async with worker(wrapper=NO_NAMESPACES) as target:
        told = await _told(target)
        assert "mnt" not in told["namespaces"]
        assert len(told["processes"]) > 2
        # There is no mount that could give it a /tmp of its own.
        [directory] = told["writable_directories"]
        assert directory.startswith(str(target.log_path.parent))


def _of_a_run() -> dict[str, Any]:
    """A script does not know its worker's namespaces; its limits are the harness's."""
    expected: dict[str, Any] = EXPECTED[kind()]["facts"]
    limits = [f"FSIZE {64 * MIB}" if limit.startswith("FSIZE") else limit for limit in expected["limits"]]
    return {**expected, "namespaces": [], "limits": limits}
