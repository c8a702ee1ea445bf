"""A run child, from forked to dead. It waits as a spare in its sandbox until a run comes over the orders pipe."""

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
from ..sandbox import namespaces, sandbox
from ..sandbox.context import SandboxContext
from ..wire import frames
from ..wire.error_text import cut
from ..wire.limits import Limits
from . import init, long_texts, network, own_meminfo, posture, script
from .encoding.plain_json import ascii_of
from .last_output import flush_outputs
from .report import NAME_OF_TYPE, safe_string

# To the supervisor.
CONTROL_FD = 3
# From the supervisor.
ORDERS_FD = 4
# To the zygote, until the sandbox is entered.
_STATUS_FD = 5
# To the supervisor, until the script begins: one byte says that it does. The script finds this descriptor closed,
# because through it the script could open the pipe's other end and take the byte back.
_BEGUN_FD = 6
Ends = tuple[int, int, int, int, int, int]
# What the environment holds before the script, for as long as the process lives.
_environment: dict[bytes, bytes] = {}
# The same for libc, as the addresses of its entries: putenv(3) makes no copy.
_entries: list[int] = []
_libc = ctypes.CDLL(None)
_clearenv, _strdup, _putenv = _libc.clearenv, _libc.strdup, _libc.putenv
_strdup.argtypes, _strdup.restype = [ctypes.c_char_p], ctypes.c_size_t
_putenv.argtypes = [ctypes.c_size_t]
# Around it stands what makes an enumeration's member of the handler before, which costs a child 60 pages of memory.
_set_handler = inspect.unwrap(signal.signal)


def live(ends: Ends, context: SandboxContext, limits: Limits, cgroup: RunCgroup, heap: Heap) -> NoReturn:
    """Called right after the fork, never returns. `ends`: of control, orders, stdout, stderr, status and begun."""
    begun, process = False, 0
    try:
        problem = _enter(cgroup)
        if os.getpid() == 1:
            init.split(ends[4])
        else:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        _settle(ends)
        if problem is not None:
            raise problem
        if context.shared_mappings:
            share_anew(context.shared_mappings)
        if limits.network:
            _hand_out_listener(context)
        os.close(_STATUS_FD)
        sandbox.enter(context, limits)
        # The last is what DuckDB takes its default for `memory_limit` from, which is 80 % of it.
        os.environ.update(
            HOME=context.scratch, TMPDIR=context.scratch, SLURM_MEM_PER_NODE=f"{limits.memory_bytes >> 20}M"
        )
        os.environ.pop("PYTHONPATH", None)
        sys.path.insert(0, context.scratch)
        own_meminfo.tell(limits)
        script.rehearse()
        gc.enable()
        heap.settle(UNTIL_GIVEN)
        # Secrets are of any length, and must not move what the script will make.
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
        # Only Airlock's own code gets here: the script's exceptions are caught where it runs. A process that the script
        # forked has nothing to tell.
        try:
            if not script.has_told() and (not begun or getpid() == process):
                _say(error, begun, limits)
        finally:
            # Behind this are the template's own lines.
            _exit(0)
    _exit(0)


def _receive(kind: bytes) -> dict[str, Any] | None:
    """The next frame, if it is of this kind; None when the supervisor is gone."""
    message = frames.receive(ORDERS_FD)
    return json.loads(message[1]) if message is not None and message[0] == kind else None


def rehearse(heap: Heap) -> None:
    """In the template: what a child does when it is given something."""
    read, write = os.pipe()
    try:
        frames.send(write, (frames.GIVEN, b"{}"))
        with heap.aside():
            frames.receive(read)
    finally:
        os.close(read)
        os.close(write)


def _take(message: dict[str, Any], context: SandboxContext) -> script.Given:
    """Puts into the environment what the project gives its runs."""
    _add_to_environment(message["secrets"])
    if message["network"] is not None:
        network.enter(message["network"], context.scratch)
    if not message["probe"]:
        # A script finds it in the frames below its own.
        context.forget_outside()
    return script.given_of(message)


def _say(error: BaseException, begun: bool, limits: Limits) -> None:
    end = "script_error" if begun else "start_failed"
    failed = "Airlock failed when the script had begun" if begun else "Airlock could not start the script"
    try:
        flush_outputs()
        text = cut(long_texts.slices(f"{failed}: {NAME_OF_TYPE(type(error))}: {safe_string(error, 'message')}"))
        if issubclass(type(error), MemoryError) and not begun:
            # It is the request that takes so much: another attempt would end the same way.
            end = "out_of_memory"
            text = (
                f"The memory and settings of the request take more than the {limits.memory_bytes >> 20} MB that the "
                "project allows; the script was not started."
            )
        frames.send(CONTROL_FD, (frames.DONE, ascii_of({"end": end, "error": text})))
    except BaseException:
        # The supervisor sees an end without a word.
        pass


def _measure(context: SandboxContext, limits: Limits) -> None:
    """The probe run, in place of a script."""
    frames.send(CONTROL_FD, (frames.PROBE, json.dumps(posture.measure(context, limits)).encode()))
    # Until the supervisor has looked from outside.
    frames.receive(ORDERS_FD)
    frames.send(CONTROL_FD, (frames.DONE, json.dumps({"end": "completed", "error": ""}).encode()))


def _enter(cgroup: RunCgroup) -> OSError | None:
    """What went wrong, to be told once there is a descriptor to tell it by: no script starts without its limits."""
    try:
        cgroup.enter()
    except OSError as error:
        return error
    return None


def _hand_out_listener(context: SandboxContext) -> None:
    with namespaces.listener(context) as listening, socket.socket(fileno=os.dup(_STATUS_FD)) as zygote:
        socket.send_fds(zygote, [b"listener"], [listening.fileno()])


def _settle(ends: Ends) -> None:
    """Leaves everything that is the zygote's: session, signals, descriptors."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGHUP):
        _set_handler(number, signal.SIG_DFL)
    os.setsid()
    # First out of the way of the numbers they go to, then there.
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
    """In the zygote: makes the streams that every child will have on its own descriptors 1 and 2.

    They are made on a pipe, as they will stand on one: a stream asks its descriptor only once whether it can seek.
    """
    read, write = os.pipe()
    os.dup2(write, 1)
    os.dup2(write, 2)
    os.close(write)
    os.close(read)
    sys.stdout = sys.__stdout__ = _output(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _output(2)  # type: ignore[misc]


def _output(fd: int) -> io.TextIOWrapper:
    """Line by line, so that what was printed is out when a script crashes; no character can make a print fail."""
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _add_to_environment(secrets: dict[str, str]) -> None:
    for name, value in secrets.items():
        # What an environment cannot hold can still be read with settings.get.
        with contextlib.suppress(ValueError, OSError):
            os.environ[name] = value


def _set_environment_aside() -> None:
    """A variable that the script deletes must not be freed, because the script's next large objects would lie where it
    was, and that place follows the length of secrets. So do the places of the dictionary's own table and of libc's."""
    variables: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    _environment.update(variables)
    variables.clear()
    _clearenv()
    _entries.extend(_strdup(b"%b=%b" % each) for each in _environment.items())


def _make_environment_anew() -> None:
    os.environ._data.update(_environment)  # type: ignore[attr-defined]
    for entry in _entries:
        _putenv(entry)
