"""The life of a run child: after the fork it waits as a spare in its sandbox, until a run arrives on the orders
pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from os import _exit, getpid
from typing import Any, NoReturn

from ..cgroups.run_cgroup import RunCgroup
from ..interpreter.heap import UNTIL_GIVEN, UNTIL_SCRIPT, UNTIL_START, Heap
from ..linux import kernel
from ..linux.shared_mappings import share_anew
from ..sandbox import mounts, namespaces, sandbox
from ..sandbox.context import SandboxContext
from ..wire import frames
from ..wire.error_text import cut
from ..wire.limits import Limits
from . import init, long_texts, network, own_meminfo, posture, script
from .encoding.plain_json import ascii_of
from .last_output import flush_outputs
from .script_ending import NAME_OF_TYPE, safe_string

# Descriptor of the pipe by which the child sends its frames to the supervisor: llm requests, result, memory, ending.
CONTROL_FD = 3
# Descriptor of the pipe by which the supervisor sends its frames to the child: secrets, the request, responses.
ORDERS_FD = 4
# Descriptor of the socket by which process 1 of the run tells the zygote the script's exit status. The script's own
# process closes it before it enters the sandbox.
_STATUS_FD = 5
# Descriptor of the pipe on which the child writes one byte to tell the supervisor that the script begins. It is closed
# before the script runs, because a script could open the pipe's other end through it and take the byte back.
_BEGUN_FD = 6
Ends = tuple[int, int, int, int, int, int]
# The environment variables that the script finds, kept here so that these objects live as long as the process.
_environment: dict[bytes, bytes] = {}
# Addresses of the variables as texts `NAME=value` in libc's memory, because putenv(3) makes no copy.
_entries: list[int] = []
_libc = ctypes.CDLL(None)
_clearenv, _strdup, _putenv = _libc.clearenv, _libc.strdup, _libc.putenv
_strdup.argtypes, _strdup.restype = [ctypes.c_char_p], ctypes.c_size_t
_putenv.argtypes = [ctypes.c_size_t]
# The C function inside `signal.signal`. The Python function around it would make an Enum of the old handler, which
# costs each child 60 pages of memory.
_set_handler = inspect.unwrap(signal.signal)


def live(ends: Ends, context: SandboxContext, limits: Limits, required: int, cgroup: RunCgroup, heap: Heap) -> NoReturn:
    """Runs the whole life of a child; called right after the fork, never returns. `ends`: control, orders, stdout,
    stderr, status and begun. `required`: mask of the layers of the sandbox without which it takes no run.
    """
    begun, process, control = False, 0, ends[0]
    try:
        problem = _enter(context, cgroup)
        if os.getpid() == 1:
            init.split(ends[4])
        elif not context.own_pids:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        _settle(ends)
        control = CONTROL_FD
        if problem is not None:
            raise problem
        if context.shared_mappings:
            share_anew(context.shared_mappings)
        if limits.network:
            _hand_out_listener(context)
        os.close(_STATUS_FD)
        sandbox.enter(context, limits, required)
        # DuckDB takes its default for `memory_limit`, 80 % of it, from SLURM_MEM_PER_NODE.
        os.environ["SLURM_MEM_PER_NODE"] = f"{limits.memory_bytes >> 20}M"
        if context.scratch != mounts.PRIVATE_SCRATCH or not context.minimal_tree:
            os.environ["HOME"] = os.environ["TMPDIR"] = context.scratch
        sys.path.insert(0, context.scratch)
        own_meminfo.tell(limits)
        script.rehearse()
        gc.enable()
        heap.settle(UNTIL_GIVEN)
        # These objects are made outside the script's heap, because secrets of other lengths must not move the script's
        # objects, whose addresses decide the order of some sets.
        with heap.aside():
            message = _receive(frames.GIVEN)
            given = None if message is None else _take(message, context)
            _set_environment_aside()
        heap.settle(UNTIL_START, after_aside=True)
        _make_environment_anew()
        start = _receive(frames.START)
        if message is not None and given is not None and start is not None:
            if message["probe"]:
                work: Callable[[], None] = partial(_measure, context, limits)
            else:
                work = script.prepare(given, start, limits, CONTROL_FD, ORDERS_FD)
            heap.settle(UNTIL_SCRIPT)
            os.write(_BEGUN_FD, b"B")
            os.close(_BEGUN_FD)
            begun, process = True, getpid()
            work()
    except BaseException as error:
        # Only exceptions of Airlock's own code get here, because those of the script are caught where it runs. A
        # process that the script forked reports nothing to the supervisor.
        try:
            if not script.has_told() and (not begun or getpid() == process):
                _say(control, error, begun, limits)
        finally:
            # The child exits here and never returns, because its calling functions are those of the template.
            _exit(0)
    _exit(0)


def _receive(kind: bytes) -> dict[str, Any] | None:
    """The next frame, if it is of this kind; None when it is not, or the supervisor is gone."""
    message = frames.receive(ORDERS_FD)
    return json.loads(message[1]) if message is not None and message[0] == kind else None


def rehearse(heap: Heap) -> None:
    """Receives a frame once in the template, so that children share the memory that this needs."""
    read, write = os.pipe()
    try:
        frames.send(write, (frames.GIVEN, b"{}"))
        with heap.aside():
            frames.receive(read)
    finally:
        os.close(read)
        os.close(write)


def _take(message: dict[str, Any], context: SandboxContext) -> script.Given:
    """Puts the project's secrets and network settings into the environment, and returns what scripts read by name."""
    _add_to_environment(message["secrets"])
    if message["network"] is not None:
        network.enter(message["network"], context.scratch)
    if not message["probe"]:
        # The sandbox context is stripped of all names of the machine, because a script can reach it through the frames
        # below its own.
        context.forget_outside()
    return script.given_of(message)


def _say(control: int, error: BaseException, begun: bool, limits: Limits) -> None:
    """Reports to the supervisor, in a DONE frame, that Airlock's own code failed in the child."""
    # `control` is the descriptor of the pipe to the supervisor; before `_settle` it has another number than
    # CONTROL_FD. `begun` tells whether the script had begun.
    end = "script_error" if begun else "start_failed"
    failed = "Airlock failed when the script had begun" if begun else "Airlock could not start the script"
    try:
        flush_outputs()
        text = cut(long_texts.slices(f"{failed}: {NAME_OF_TYPE(type(error))}: {safe_string(error, 'message')}"))
        if issubclass(type(error), MemoryError) and not begun:
            # The child reports `out_of_memory` and not `start_failed`, because the memory and settings of the request
            # fill the run's memory, so another attempt would end the same way.
            end = "out_of_memory"
            text = (
                f"The memory and settings of the request take more than the {limits.memory_bytes >> 20} MB that the "
                "project allows; the script was not started."
            )
        frames.send(control, (frames.DONE, ascii_of({"end": end, "error": text})))
    except BaseException:
        # The report failed. The supervisor then sees that the child ended without a DONE frame.
        pass


def _measure(context: SandboxContext, limits: Limits) -> None:
    """The probe run: measures the sandbox instead of running a script."""
    frames.send(CONTROL_FD, (frames.PROBE, json.dumps(posture.measure(context, limits)).encode()))
    # Waits until the supervisor has measured the child from outside.
    frames.receive(ORDERS_FD)
    frames.send(CONTROL_FD, (frames.DONE, json.dumps({"end": "completed", "error": ""}).encode()))


def _enter(context: SandboxContext, cgroup: RunCgroup) -> OSError | None:
    """Enters the child's namespaces and its cgroup. Returns the error, to be reported once the pipes are in place,
    because no script may start without them.
    """
    try:
        namespaces.enter_new(context)
        cgroup.enter()
    except OSError as error:
        return error
    return None


def _hand_out_listener(context: SandboxContext) -> None:
    with namespaces.listener(context) as listening, socket.socket(fileno=os.dup(_STATUS_FD)) as zygote:
        socket.send_fds(zygote, [b"listener"], [listening.fileno()])


def _settle(ends: Ends) -> None:
    """Gives up what belongs to the zygote: session, signal handlers and descriptors."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGHUP):
        _set_handler(number, signal.SIG_DFL)
    os.setsid()
    # The descriptors are first duplicated to high numbers, so that no target number overwrites another pipe's end.
    high = [os.dup(fd) for fd in ends]
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
    os.dup2(high[2], 1)
    os.dup2(high[3], 2)
    os.dup2(high[0], CONTROL_FD, inheritable=False)
    os.dup2(high[1], ORDERS_FD, inheritable=False)
    os.dup2(high[4], _STATUS_FD, inheritable=False)
    os.dup2(high[5], _BEGUN_FD, inheritable=False)
    os.closerange(_BEGUN_FD + 1, init.MAX_DESCRIPTORS)


def prepare_output() -> None:
    """Makes the streams that every child will have on its own descriptors 1 and 2, in the template.

    They are made on a pipe, as in a run, because a stream asks its descriptor only once whether it can seek.
    """
    read, write = os.pipe()
    os.dup2(write, 1)
    os.dup2(write, 2)
    os.close(write)
    os.close(read)
    sys.stdout = sys.__stdout__ = _output(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _output(2)  # type: ignore[misc]
    # The names that the interpreter gives to its own streams.
    sys.stdout.buffer.raw.name = "<stdout>"  # type: ignore[attr-defined]
    sys.stderr.buffer.raw.name = "<stderr>"  # type: ignore[attr-defined]


def _output(fd: int) -> io.TextIOWrapper:
    """A text stream, flushed line by line so that printed lines are out when a script crashes. No character makes it
    fail.
    """
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _add_to_environment(secrets: dict[str, str]) -> None:
    for name, value in secrets.items():
        # A value that no environment can hold (NUL bytes) is still found by settings.get.
        with contextlib.suppress(ValueError, OSError):
            os.environ[name] = value


def _set_environment_aside() -> None:
    """Copies the environment out of the script's heap, because a variable that the script deletes must not be freed
    there.

    The script's next large objects would take its place, which depends on the length of secrets. That also applies to
    the table of the dictionary and to that of libc.
    """
    variables: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    _environment.update(variables)
    variables.clear()
    _clearenv()
    _entries.extend(_strdup(b"%b=%b" % each) for each in _environment.items())


def _make_environment_anew() -> None:
    os.environ._data.update(_environment)  # type: ignore[attr-defined]
    for entry in _entries:
        _putenv(entry)
