"""Conducts the probe run when the worker starts: a real run child measures which layers of the sandbox are in force,
and the supervisor checks what remains of the run.
"""

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
# Limits of the probe run.
LIMITS = Limits(max_output_bytes=_MIB, max_result_bytes=_MIB, memory_bytes=1 << 30, disk_bytes=_MIB, pids=64, cpus=1.0)


# Seconds that processes may outlive the probe run before the layer `descendants_killed` counts as missing.
_LAST_BREATH_S = 1.0


class ProbeFailed(Exception):
    pass


async def measure(process: RunProcess, cgroups: WorkerCgroups, overhead: Overhead) -> Posture:
    """Returns what the probe run measured. `process` has ended and is released afterwards. Raises ProbeFailed when the
    run ended without measurements.
    """
    start = Start("probe", "", 0, {}, "", (), {}, LIMITS, probe=True)
    process.send(start.frames())
    talk = ControlChannel(LIMITS, process.has_begun, probe=True)
    await _until_measured(process, talk)
    limited = None
    if not process.exited.done():
        limited = cgroups.measure(process.pid, process.cgroup, LIMITS, overhead)
        process.send(frames.pack(frames.RESPONSE, b"{}"))
    await process.gone()
    talk.read_all(process.control)
    outlived = await _stays_held(process.out)
    await process.release()
    if talk.probe is None:
        raise ProbeFailed(talk.ending.error if talk.ending else "the probe run ended without a report")
    found = json.loads(talk.probe)
    left = {
        "descendants_killed": "a daemon outlived its run" if outlived else None,
        "cgroup": limited,
        # Checks only a scratch directory inside the worker's own directory. A private one, in a tmpfs of the run, is
        # never visible here.
        "scratch_directory": "it outlived its run" if os.path.exists(found["scratch"]) else None,
    }
    measured = {**found["layers"]}
    for name, detail in left.items():
        measured[name] = measured.get(name) or detail
    layers = tuple(Layer(name, detail is None, detail or "") for name, detail in measured.items())
    # This layer is never reported as missing, because without gVisor it is no part of the sandbox.
    kernel = (Layer("gvisor_kernel", True, ""),) if gvisor.is_kernel() else ()
    return Posture(
        (*kernel, *layers),
        tuple(Fact(name, tuple(map(str, values))) for name, values in found["facts"].items()),
        tuple(Package(str(name), str(version)) for name, version in found["packages"]),
        tuple(layer.name for layer in layers if layer.in_force and layer.name not in found["refused"]),
    )


async def _until_measured(process: RunProcess, talk: ControlChannel) -> None:
    """Returns when the child has sent its measurements, or has ended."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    process.exited.add_done_callback(lambda _: told.set())

    def on_readable() -> None:
        talk.read(process.control)
        if talk.is_at_end or talk.probe is not None or talk.ending is not None:
            loop.remove_reader(process.control)
            told.set()

    loop.add_reader(process.control, on_readable)
    await told.wait()


async def _stays_held(output: int) -> bool:
    """Whether a process of the probe run outlives it by more than a second. The second is needed because gVisor's
    kernel ends processes one by one.
    """
    deadline = asyncio.get_running_loop().time() + _LAST_BREATH_S
    while _is_held(output):
        if asyncio.get_running_loop().time() > deadline:
            return True
        await asyncio.sleep(0.01)
    return False


def _is_held(output: int) -> bool:
    """Whether a process of the run still holds the writing end of its output pipe."""
    try:
        return os.read(output, 1) != b""
    except BlockingIOError:
        return True
