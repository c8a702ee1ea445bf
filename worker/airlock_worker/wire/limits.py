"""Limits on what one run may use, and on texts in its frames."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PROMPT_BYTES = 1 << 20
MAX_MODEL_BYTES = 256


@dataclass(frozen=True)
class Limits:
    """Limits of one run, from its project."""

    max_output_bytes: int
    max_result_bytes: int
    memory_bytes: int
    disk_bytes: int
    pids: int
    # CPUs that the run may use; 0.5 is half of a CPU's time.
    cpus: float
    # Whether runs have a network. It leads only to the egress proxy, through a listener in the run's network namespace.
    network: bool = False
