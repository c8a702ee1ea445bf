"""The supervisor's side of the probe run: what a real run child measured, and what became of its daemon."""

from __future__ import annotations

import asyncio
import json
import os

from ..cgroups.cgroup_limits import Overhead
from ..cgroups.worker_cgroups import WorkerCgroups
from ..sandbox import gvisor
from ..wire import frames
from ..wire.limits import Limits
from .run.control_channel import ControlChannel
from .run.start import Start
from .run_process import RunProcess
from .status import Fact, Layer, Package, Posture

_MIB = 1 << 20
LIMITS = Limits(max_output_bytes=_MIB, max_result_bytes=_MIB, memory_bytes=1 << 30, disk_bytes=_MIB, pids=64, cpus=1.0)


_LAST_BREATH_S = 1.0


class ProbeFailed(Exception):
    pass


async def measure(process: RunProcess, cgroups: WorkerCgroups, overhead: Overhead) -> Posture:
    """Takes the child up entirely: it has ended and is released afterwards."""
    start = Start("probe", "", 0, {}, "", (), {}, LIMITS, probe=True)
    process.send(start.frames())
    talk = ControlChannel(LIMITS, process.has_begun, probe=True)
    await _until_measured(process, talk)
    limited = None
    if not process.exited.done():
        limited = cgroups.measure(process.pid, process.cgroup, LIMITS, overhead)
        process.send(frames.pack(frames.ANSWER, b"{}"))
    await process.gone()
    talk.read_all(process.control)
    outlived = await _stays_held(process.out)
    await process.release()
    if talk.probe is None:
        raise ProbeFailed(talk.verdict.error if talk.verdict else "the probe run ended without an answer")
    found = json.loads(talk.probe)
    left = {
        "descendants_killed": "a daemon outlived its run" if outlived else None,
        "cgroup": limited,
        # From outside nothing of a private directory was ever there.
        "scratch_directory": "it outlived its run" if os.path.exists(found["scratch"]) else None,
    }
    measured = {**found["layers"]}
    for name, detail in left.items():
        measured[name] = measured.get(name) or detail
    layers = tuple(Layer(name, detail is None, detail or "") for name, detail in measured.items())
    # Not one that could be missing: elsewhere it is no part of the sandbox.
    kernel = (Layer("gvisor_kernel", True, ""),) if gvisor.is_kernel() else ()
    return Posture(
        (*kernel, *layers),
        tuple(Fact(name, tuple(map(str, values))) for name, values in found["facts"].items()),
        tuple(Package(str(name), str(version)) for name, version in found["packages"]),
    )


async def _until_measured(process: RunProcess, talk: ControlChannel) -> None:
    """Or until it has ended."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    process.exited.add_done_callback(lambda _: told.set())

    def on_readable() -> None:
        talk.read(process.control)
        if talk.is_at_end or talk.probe is not None or talk.verdict is not None:
            loop.remove_reader(process.control)
            told.set()

    loop.add_reader(process.control, on_readable)
    await told.wait()


async def _stays_held(output: int) -> bool:
    """Whether a process of the run goes on: a kernel that ends them one by one, as gVisor does, takes a moment."""
    deadline = asyncio.get_running_loop().time() + _LAST_BREATH_S
    while _is_held(output):
        if asyncio.get_running_loop().time() > deadline:
            return True
        await asyncio.sleep(0.01)
    return False


def _is_held(output: int) -> bool:
    """Whether a process of the run still has the other end of its output."""
    try:
        return os.read(output, 1) != b""
    except BlockingIOError:
        return True
