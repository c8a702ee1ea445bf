"""How a run ended, from all that is known of it. Exactly one verdict, and none that calls something lost a success."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from .run_process import signal_name

# The ends a child may claim for itself. What it claims costs only itself: the rest is seen from outside.
CLAIMABLE = frozenset(
    {
        "completed",
        "script_error",
        "exit_nonzero",
        "out_of_memory",
        "result_invalid",
        "result_too_large",
        "start_failed",
    }
)


@dataclass(frozen=True)
class Verdict:
    # The name of an EndReason, in lower case and without its prefix.
    end: str
    # Empty when completed.
    error: str
    # Why the worker should be replaced; empty when nothing speaks against it.
    retire: str = ""


def of_status(status: int | None, killed_by_us: bool) -> Verdict:
    """The verdict on a child that ended without its last word."""
    if status is None:
        return Verdict("worker_lost", "The worker process that ran the script was lost.")
    if os.WIFSIGNALED(status):
        name = signal_name(os.WTERMSIG(status))
        if os.WTERMSIG(status) == signal.SIGKILL and not killed_by_us:
            text = "The script's process was killed by SIGKILL: by itself, or by the kernel for lack of memory."
            return Verdict("killed", text, retire="a run was killed by a SIGKILL that was not the worker's")
        return Verdict("killed", f"The script's process was killed by {name}.")
    code = os.WEXITSTATUS(status)
    if code != 0:
        return Verdict("exit_nonzero", f"The script ended with exit status {code}.")
    return Verdict(
        "script_error",
        "The script's process ended by os._exit or closed Airlock's control pipe: "
        "its result and buffered output may be lost.",
    )


def of_timeout(timeout_ms: int) -> Verdict:
    return Verdict("timeout", f"The script ran longer than its timeout of {timeout_ms / 1000:g} s and was stopped.")


def of_crowd(limit: int) -> Verdict:
    return Verdict("killed", f"The script had more than {limit} processes at once and was stopped.")


def of_violation(what: str) -> Verdict:
    return Verdict(
        "script_error",
        f"The script wrote to Airlock's own descriptor ({what}) and was stopped; its result is lost.",
        retire="a run wrote to its control pipe",
    )


def of_large_result(size: int, limit: int) -> Verdict:
    return Verdict("result_too_large", f"The result is {size} bytes of JSON; the limit is {limit}.")
