"""The supervisor's side of the probe run: what a real run child measured, and what became of its daemon."""

from __future__ import annotations

import json
import os

from . import frames, gvisor
from .conversation import Conversation
from .room import Limits
from .run_process import RunProcess
from .start import Start
from .status import Fact, Layer, Posture

LIMITS = Limits(max_output_bytes=1 << 20, max_result_bytes=1 << 20, memory_bytes=1 << 30, disk_bytes=1 << 20, pids=64)


class ProbeFailed(Exception):
    pass


async def measure(process: RunProcess) -> Posture:
    """Takes the child up entirely: it has ended and is released afterwards."""
    start = Start("probe", "", 0, {}, "", {}, {}, LIMITS, probe=True)
    process.send(frames.pack(frames.START, start.payload()))
    await process.exited
    talk = Conversation(LIMITS, probe=True)
    talk.read_all(process.control)
    outlived = _is_held(process.out)
    await process.release()
    if talk.probe is None:
        raise ProbeFailed(talk.verdict.error if talk.verdict else "the probe run ended without an answer")
    found = json.loads(talk.probe)
    left = {
        "descendants_killed": "a daemon outlived its run" if outlived else None,
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
    )


def _is_held(output: int) -> bool:
    """Whether a process of the run still has the other end of its output."""
    try:
        return os.read(output, 1) != b""
    except BlockingIOError:
        return True
