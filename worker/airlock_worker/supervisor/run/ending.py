"""Decides how a run ended, from all that is known of it: exactly one ending, and never a success if something was
lost.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace

from ...wire import limits_text
from ...wire.limits import Limits
from ..run_process import signal_name

# Ends that a child's DONE frame may report once the script has begun. Each says that the script ran, and a script can
# cause each by itself, so a forged one harms no other run. All other ends are observed by the supervisor.
REPORTABLE = frozenset(
    {"completed", "script_error", "exit_nonzero", "out_of_memory", "result_invalid", "result_too_large"}
)
# Ends that a DONE frame may report before the script begins. They mean that no code ran, so the caller may start the
# script again; for that reason they are not accepted later.
REPORTABLE_BEFORE = frozenset({"start_failed", "out_of_memory"})


# Ends that stop a script at any point, so its output may end within a character.
KILLS = frozenset({"timeout", "killed", "out_of_memory", "worker_lost"})
_WORKER_WITHOUT_MEMORY = "the kernel killed a run because the worker had no memory left"


@dataclass(frozen=True)
class Ending:
    # Name of an EndReason of the proto, in lower case and without its prefix, such as `script_error`.
    end: str
    # The error's text; empty when completed.
    error: str
    # Why the pool-manager should replace the worker; empty when the worker may go on.
    retire: str = ""


def of_status(status: int | None, killed_by_us: bool, *, own_pids: bool) -> Ending:
    """The ending on a child that ended without a DONE frame. `status`: its wait status, None when the zygote was lost.
    `own_pids`: the run had a pid namespace of its own.
    """
    if status is None:
        return Ending("worker_lost", "The worker process that ran the script was lost.")
    if os.WIFSIGNALED(status):
        name = signal_name(os.WTERMSIG(status))
        if is_sigkill(status) and not killed_by_us:
            text = "The script's process was killed by SIGKILL: by itself, or by the kernel for lack of memory."
            # Without a pid namespace, a script that can send signals may also have killed processes that the worker
            # needs, so the worker is replaced.
            retire = "" if own_pids else "a run was killed by a SIGKILL that was not the worker's"
            return Ending("killed", text, retire)
        return Ending("killed", f"The script's process was killed by {name}.")
    code = os.WEXITSTATUS(status)
    if code != 0:
        return Ending("exit_nonzero", f"The script ended with exit status {code}.")
    return Ending(
        "script_error",
        "The script's process ended by os._exit or closed Airlock's control pipe: "
        "its result and buffered output may be lost.",
    )


def of_no_beginning(status: int) -> Ending:
    """The ending on a child that ended before the script's code, and without a DONE frame."""
    name = signal_name(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
    return Ending("start_failed", f"The script was not started, because the process made for it ended first ({name}).")


def of_memory(limits: Limits) -> Ending:
    """The ending on a run that its own cgroup's limit ended. The worker can go on, because no other run is
    affected.
    """
    return Ending("out_of_memory", f"The kernel killed the script for lack of memory: {_of_run(limits)} All was used.")


def of_container_memory(limits: Limits) -> Ending:
    text = (
        "The kernel killed the script for lack of memory: this run and the paused runs of its worker together used all "
        f"that the worker may have. Of that, {_of_run(limits)}"
    )
    return Ending("out_of_memory", text, retire=_WORKER_WITHOUT_MEMORY)


def of_run_memory(used: int, limits: Limits) -> Ending:
    text = f"The script was stopped for lack of memory: {_of_run(limits)} They used {used >> 20} MB."
    return Ending("out_of_memory", text)


def of_process_memory(used: int, limits: Limits) -> Ending:
    text = f"The script was stopped for lack of memory: {limits_text.of_process_memory(used, limits)}"
    return Ending("out_of_memory", text)


def _of_run(limits: Limits) -> str:
    memory_mb, disk_mb = limits.memory_bytes >> 20, limits.disk_bytes >> 20
    return (
        f"all processes of a run together may have {memory_mb} MB, and its files {disk_mb} MB "
        "(memory_mb and disk_mb in the project's limits)."
    )


def with_oom_kills(ended: Ending, kills: int, limits: Limits) -> Ending:
    """The ending on a run of which the kernel killed processes. A script that ended by itself gets `out_of_memory`
    instead, as it would if the supervisor had seen the kill first. Its result is dropped, because it may lack what
    these processes should have given; its error is kept, because it may come from the kill. Any other ending gets a
    sentence about the kills.
    """
    if kills == 0 or ended.end == "out_of_memory":
        return ended
    text = f"The kernel killed {kills} of the run's processes for lack of memory"
    if ended.end == "completed":
        return Ending("out_of_memory", f"{text}, so its result may be wrong and is dropped: {_of_run(limits)}")
    if ended.end in REPORTABLE:
        why = f"{text}: {_of_run(limits)}\nThe script itself ended with:\n{ended.error}"
        return replace(ended, end="out_of_memory", error=why)
    return replace(ended, error=f"{ended.error}\n({text}.)")


def with_unexplained_kills(ended: Ending, kills: int, limits: Limits) -> Ending:
    """The ending on a run that may have lost processes, where the kernel counts only the kills of all runs of the
    worker together. `kills`: number of those that may have been of this run.
    """
    if kills == 0 or ended.end == "out_of_memory":
        return ended
    if ended.end == "completed":
        return of_unexplained_kills(kills, limits)
    return replace(ended, error=f"{ended.error}\n({_unexplained(kills)}.)")


def of_unexplained_kills(kills: int, limits: Limits) -> Ending:
    """The ending on a run that may have lost processes, because the worker had no memory left."""
    text = (
        f"{_unexplained(kills)}. The script may have lost one of them, so its result would not be reliable. "
        f"Of the worker's memory, {_of_run(limits)}"
    )
    return Ending("out_of_memory", text, retire=_WORKER_WITHOUT_MEMORY)


def _unexplained(kills: int) -> str:
    return (
        f"The kernel killed {kills} of the worker's processes for lack of memory while the script ran or was paused, "
        "because this run and the others of the worker together used all that the worker may have"
    )


def with_refusals(ended: Ending, limits: Limits, most_processes: int | None) -> Ending:
    """Replaces the error's hint at the run's own limit of processes by one at the worker's limit, because that one
    refused a process.
    """
    if ended.end not in ("script_error", "exit_nonzero"):
        return ended
    error = ended.error.replace(f"\n({limits_text.of_pids(limits)})", "")
    return replace(ended, error=f"{error}\n({no_room_text(most_processes)})")


def no_room_text(most_processes: int | None) -> str:
    most = "as many as it may have" if most_processes is None else f"{most_processes}, as many as it may have"
    return (
        f"The kernel refused the script's worker another process or thread, because the worker has {most}, "
        "with those of paused executions. Respond to some of these executions, or cancel them."
    )


def no_descriptors_text(most: int) -> str:
    return (
        f"its worker has nearly all of the {most} files and sockets open that it may have (ulimit -n), with those of "
        "paused executions. Respond to some of these executions, or cancel them"
    )


def is_sigkill(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def of_timeout(timeout_ms: int) -> Ending:
    text = f"The script ran longer than its timeout of {timeout_ms / 1000:g} s and was stopped."
    return Ending("timeout", f"{text} A request may ask for another timeout, up to the limit of its project.")


def of_crowd(limit: int) -> Ending:
    return Ending("killed", f"The script had more than {limit} processes at once and was stopped.")


def of_violation(what: str) -> Ending:
    return Ending(
        "script_error",
        f"The script wrote to Airlock's own descriptor ({what}) and was stopped; its result is lost.",
        retire="a run wrote to its control pipe",
    )


def of_large_result(size: int, limit: int) -> Ending:
    return Ending("result_too_large", f"The result is {size} bytes of JSON; the limit is {limit}.")
