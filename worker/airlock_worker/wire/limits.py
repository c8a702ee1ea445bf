"""What one run may use, and what may cross its pipes."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PROMPT_BYTES = 1 << 20
MAX_MODEL_BYTES = 256


@dataclass(frozen=True)
class Limits:
    """What one run may use."""

    max_output_bytes: int
    max_result_bytes: int
    memory_bytes: int
    disk_bytes: int
    pids: int
    # CPUs' worth of time.
    cpus: float
    # Whether runs reach the egress proxy through a listener in their network namespace.
    network: bool = False
