"""The machine code of a small process 1 (small_init.py): how it is made, and its program."""

from __future__ import annotations

import ctypes
import signal

from ..linux import kernel
from ..linux.machine_code import (
    ALWAYS,
    BEGIN,
    IF_EQUAL,
    IF_NEGATIVE,
    IF_ZERO,
    RETURN,
    TEST,
    UNLESS_NEGATIVE,
    UNLESS_ZERO,
    ZERO_ON_CALLERS_STACK,
    Field,
    back,
    compare,
    executable,
    function_call,
    keep_result,
    over,
    system_call,
)

# Pid of the script's process in its namespace: it is the second process there.
SCRIPT = 2
_AT_EMPTY_PATH = 0x1000
# The signature that glibc registers restartable sequences with.
_RSEQ_SIGNATURE = 0x53053053
_ALL_DESCRIPTORS, _ANY_CHILD = 0xFFFFFFFF, 0xFFFFFFFF


class Orders(ctypes.Structure):
    """The argument of `forking`. Descriptors and addresses; `clone` is the number of a system call, `first` and
    `second` are its arguments, and `error` is the result of the call that failed, -1 for libc's `fork`.
    """

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            *("clone", "first", "second", "fork", "restartable", "restartable_bytes", "zero", "status"),
            *("program", "path", "arguments", "capabilities", "none", "error", "cgroup0", "cgroup1", "cgroup2"),
        )
    ]


MOST_CGROUPS = 3


def _field(name: str) -> Field:
    return Field(getattr(Orders, name).offset)


def forking(cgroups: int) -> bytes:
    """A function that gets the address of Orders and forks like `fork`: it returns the pid of process 1 in the
    template, and 0 in the script's process. `cgroups`: number of files by which process 1 moves itself into its cgroup.
    """
    failed = keep_result(_field("error")) + system_call("exit_group", 1)
    execute = b"".join(
        (
            system_call("dup2", _field("status"), 0),
            system_call("prctl", kernel.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            # Without capabilities process 1 may not read its program's file. For such a process the kernel lets no
            # other process of the run read its memory.
            system_call("capset", _field("capabilities"), _field("none")),
            system_call("execveat", _field("program"), _field("path"), _field("arguments"), 0, _AT_EMPTY_PATH),
        )
    )
    script_begins = over(IF_ZERO, execute + failed)
    # libc's own function is called, because it runs the handlers that packages have for forks.
    steps = function_call(_field("fork")) + TEST
    steps += over(IF_NEGATIVE, script_begins + execute) + script_begins + execute
    for number in reversed(range(cgroups)):
        enter = system_call("write", _field(f"cgroup{number}"), _field("zero"), 1)
        steps = enter + TEST + over(IF_NEGATIVE, steps) + steps
    # A process that shares its parent's memory does not inherit the registration of restartable sequences, so the
    # script's process would have none.
    register = system_call("rseq", _field("restartable"), _field("restartable_bytes"), 0, _RSEQ_SIGNATURE)
    first_process = register + steps + failed
    clone = system_call(_field("clone"), _field("first"), _field("second"), 0, 0, 0) + TEST
    in_children = first_process + ZERO_ON_CALLERS_STACK
    return BEGIN + clone + over(UNLESS_ZERO, in_children) + in_children + RETURN


def program() -> bytes:
    """The file of the program: it waits for all processes that become its children, writes the wait status of the
    script's process to descriptor 0, and ends.
    """
    begin = system_call("close_range", 1, _ALL_DESCRIPTORS, 0)
    begin += system_call("prctl", kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    begin += system_call("prctl", kernel.PR_SET_DUMPABLE, 0)
    tell = system_call("write", 0, "stack", 4)
    fail = over(ALWAYS, tell)
    wait = system_call("wait4", _ANY_CHILD, "stack", 0, 0) + compare(SCRIPT)
    # The jump to `tell` goes over the two jumps that follow it, of which the first depends on its own place.
    length = len(over(IF_EQUAL, b"") + TEST + back(UNLESS_NEGATIVE, b""))
    wait += over(IF_EQUAL, bytes(length - len(over(IF_EQUAL, b""))) + fail) + TEST
    wait += back(UNLESS_NEGATIVE, wait)
    return executable(begin + wait + fail + tell + system_call("exit_group", 0))
