"""The template: the process that all run children are copies of.

It imports the project's packages and then only forks, because anything that it kept of one child, or of the outside
world, would move the objects of the next child. The zygote, its parent, does all other work.

Messages are JSON, one per packet. First from the template: `{"importing": module or null, "started_processes": bool}`
before each module that may be left out, and once more with true when it exits because of that module; then `{"failed":
text}`, or `{"ready": memory and processes of every run child before its script, "left_out": [modules that could not be
imported]}`. Then per child, to the template: `{"limits": {...}, "required": mask of layers of the sandbox,
"born_in_cgroup": bool}` with descriptors (the child's ends of control, orders, stdout, stderr, status and begun; the
cgroup's directory when the child is born in it; the files that move it into cgroups); and from the template: `{"pid":
pid}` with a pidfd where the kernel has them, or `{"no_fork": [errno, text]}`. On a socket of its own: `{"exit": pid,
"status": wait status}`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import types
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, NoReturn

from ..cgroups.cgroup_limits import Overhead
from ..cgroups.run_cgroup import RunCgroup
from ..child import child, determinism, display, hints, no_network, own_meminfo, script, small_init
from ..child.last_output import freeze_all
from ..interpreter.heap import Heap
from ..linux import kernel, oom_score, processes, shared_mappings
from ..linux.proc import address_space_bytes, data_bytes, private_memory_bytes
from ..linux.process_handle import pidfd_of
from ..sandbox import namespaces, privileges, seccomp
from ..sandbox.context import SandboxContext
from ..wire.limits import Limits
from . import preload

_REHEARSALS = 20
_INSTANCES = 40
_MAX_PACKET = 4096
_MAX_DESCRIPTORS = 16
# The template's oom_score_adj file (-1: not opened) and its usual content.
_oom_file, _oom_score = -1, b""
# Makes children whose process 1 is a small program; None where process 1 is a copy of the template.
_small_init: small_init.SmallInit | None = None


class Template:
    """The zygote's side of the template."""

    def __init__(
        self,
        context: SandboxContext,
        modules: list[str],
        distributions: list[str],
        closed_in_it: list[int],
        skipped: Mapping[str, str],
    ) -> None:
        """`skipped`: modules that are not imported, each with the reason."""
        self._orders, its_orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Children that ended while the zygote waited for another message of the template, as (pid, wait status).
        self.early: deque[tuple[int, int]] = deque()
        # The optional module that the template is importing; None: none.
        self.importing: str | None = None
        # Whether the template exits because that module started processes.
        self.started_processes = False
        self.endings, its_endings = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Objects that exist now are kept out of the template's garbage collections, so that zygote and template keep
        # sharing their memory pages.
        gc.collect()
        freeze_all()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for fd in (*closed_in_it, self._orders.detach(), self.endings.detach()):
                    os.close(fd)
                _live(its_orders, its_endings, context, modules, distributions, skipped)
            finally:
                # The template exits here and never returns, because its calling functions are those of the zygote.
                os._exit(1)
        its_orders.close()
        its_endings.close()

    def until_ready(self) -> dict[str, Any] | None:
        """The template's first message after those about imports; None when it ended without one."""
        while True:
            message = _receive(self._orders)
            if message is None or "importing" not in message:
                return message
            self.importing = message["importing"]
            self.started_processes = message["started_processes"]

    def ended_by_import(self) -> str | None:
        """How the import of an optional module ended the template, which is then reaped; None: something else ended it.

        Call it when the template has ended. A SIGKILL is never blamed on the import, because it comes from outside: for
        lack of memory, or from the operator.
        """
        how = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert how is not None
        if self.importing is None or (how.si_status == signal.SIGKILL and how.si_code != os.CLD_EXITED):
            return None
        os.waitpid(self.pid, 0)
        self._orders.close()
        self.endings.close()
        processes.kill_orphans(())
        if self.started_processes:
            return "the import starts a process, which each run has to do for itself"
        if how.si_code == os.CLD_EXITED:
            return f"the import ended the process with exit status {how.si_status}"
        return f"the import was killed by {signal.Signals(how.si_status).name}"

    def fork(self, limits: Limits, required: int, ends: child.Ends, cgroup: RunCgroup) -> tuple[int, list[int]]:
        """Has the template fork a child. Returns its pid, and its pidfd in a list where the kernel has them. Raises
        OSError.
        """
        born_in = [] if cgroup.clone_fd is None else [cgroup.clone_fd]
        order = {"limits": asdict(limits), "required": required, "born_in_cgroup": cgroup.clone_fd is not None}
        socket.send_fds(self._orders, [json.dumps(order).encode()], [*ends, *born_in, *cgroup.entry_fds])
        answer, pidfd = self._answer()
        if answer is None:
            raise OSError("the template is gone")
        if "no_fork" in answer:
            raise OSError(*answer["no_fork"])
        return int(answer["pid"]), pidfd

    def _answer(self) -> tuple[dict[str, Any] | None, list[int]]:
        """Waits for the answer and reads endings meanwhile: with that socket full, template and zygote would wait for
        each other.
        """
        while True:
            readable, _, _ = select.select([self._orders, self.endings], [], [])
            if self._orders in readable:
                with contextlib.suppress(ConnectionResetError):
                    packet, fds, _, _ = socket.recv_fds(self._orders, _MAX_PACKET, 1)
                    return (json.loads(packet) if packet else None), fds
                return None, []
            ending = self.next_ending()
            if ending is None:
                return None, []
            self.early.append(ending)

    def next_ending(self) -> tuple[int, int] | None:
        """Pid and wait status of the next ended child; None when the template itself is gone."""
        message = _receive(self.endings)
        return None if message is None else (message["exit"], message["status"])

    def end_like_it(self) -> NoReturn:
        """Ends the zygote the way the template ended, so that the supervisor reports what ended it, such as a
        package.
        """
        status = os.waitpid(self.pid, 0)[1]
        if os.WIFSIGNALED(status):
            os.kill(os.getpid(), os.WTERMSIG(status))
        sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def _receive(link: socket.socket) -> dict[str, Any] | None:
    with contextlib.suppress(ConnectionResetError):
        packet = link.recv(1 << 16)
        return json.loads(packet) if packet else None
    return None


def _live(
    orders: socket.socket,
    endings: socket.socket,
    context: SandboxContext,
    modules: list[str],
    dists: list[str],
    skipped: Mapping[str, str],
) -> NoReturn:
    status = 1
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        heap = Heap()
        # A new heap is begun, because the old one depends on the machine, its user and the worker's directory, and each
        # run must find its objects at the same addresses.
        heap.begin_anew()
        determinism.prepare()
        own_meminfo.install()
        # `__main__` gets a `__file__`, because without one some packages take the program for an interactive session.
        sys.modules["__main__"].__file__ = script.FILE_NAME
        imported = preload.import_all(modules, dists, skipped, partial(_tell_import, orders), partial(_give_up, orders))
        if imported.problem is None:
            # Shared mappings are replaced before the heap takes all gaps between mappings, because the replacement
            # needs new ones.
            context.shared_mappings = shared_mappings.make_private()
            _get_ready(context, heap)
            # A new heap is begun after the imports, because packages come from .pyc files or are compiled, so the heap
            # of the imports depends on the machine.
            heap.begin_anew()
            # `freeze_all` is the original `gc.freeze`. The replacement (last_output.py) would look for streams of a
            # script in memory that all children share.
            freeze_all()
            # Automatic garbage collections are off, because after one the later children would have another heap than
            # the earlier ones.
            gc.disable()
            hints.look_around()
            context.base_address_space, context.base_data = address_space_bytes(), data_bytes()
            overhead = Overhead(private_memory_bytes(), processes=int(context.own_pids))
            orders.send(json.dumps({"ready": asdict(overhead), "left_out": imported.left_out}).encode())
            _serve(orders, endings, context, heap)
        else:
            orders.send(json.dumps({"failed": imported.problem}).encode())
        status = 0
    finally:
        os._exit(status)


def _tell_import(orders: socket.socket, module: str | None) -> None:
    orders.send(json.dumps({"importing": module, "started_processes": False}).encode())


def _give_up(orders: socket.socket, module: str) -> NoReturn:
    orders.send(json.dumps({"importing": module, "started_processes": True}).encode())
    os._exit(1)


def _get_ready(context: SandboxContext, heap: Heap) -> None:
    preload.forget_worker_path()
    child.prepare_output()
    display.install()
    no_network.install()
    seccomp.prepare()
    global _oom_file, _oom_score
    _oom_file, _oom_score = oom_score.opened()
    global _small_init
    _small_init = small_init.made(context, context.cgroup_entries)
    limits = Limits(1, 1, 1, 1, 1, 1.0)
    for _ in range(_REHEARSALS):
        # Airlock's code is run several times here, because the interpreter rewrites code as it learns how it is used,
        # and that would copy memory pages in every child.
        script.rehearse()
        script.rehearse_preparation(limits)
        privileges.rehearse(context, limits)
        child.rehearse(heap)
        oom_score.put(_oom_file, _oom_score)
    for _ in range(_INSTANCES):
        # Makes the first few dozen instances of the class, because each takes less memory than the one before, and all
        # children must be the same.
        RunCgroup("", Limits(1, 1, 1, 1, 1, 1.0))
    # These are empty here; each run sets them for its script.
    # Not in each child, because `pop` and `update` of the environment make many pages of it private.
    os.environ.pop("PYTHONPATH", None)
    sys.argv, sys.orig_argv = [], []
    sys.modules["__main__"] = types.ModuleType("__main__")


def _serve(orders: socket.socket, endings: socket.socket, context: SandboxContext, heap: Heap) -> None:
    """Forks children on the zygote's orders, and reports those that ended. Returns when the zygote is gone."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(orders, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == wake_read:
                os.read(wake_read, 512)
                _reap(endings)
            else:
                packet, fds, _, _ = socket.recv_fds(orders, _MAX_PACKET, _MAX_DESCRIPTORS)
                if not packet:
                    return
                answer, pidfd = _fork(json.loads(packet), fds, context, heap)
                socket.send_fds(orders, [answer], pidfd)
                for fd in pidfd:
                    os.close(fd)
                # Garbage is collected after each fork, because Python caches some freed objects, more from fork to
                # fork, and all children must be the same.
                gc.collect()


def _fork(order: dict[str, Any], fds: list[int], context: SandboxContext, heap: Heap) -> tuple[bytes, list[int]]:
    limits = Limits(**order["limits"])
    cgroup = RunCgroup("", limits, entry_fds=fds[6:])
    if order["born_in_cgroup"]:
        cgroup.clone_fd = cgroup.entry_fds.pop(0)
    oom_score.put(_oom_file, oom_score.FIRST_OF_ALL)
    try:
        if _small_init is None:
            pid = namespaces.fork(context, cgroup.clone_fd)
        else:
            pid = _small_init.fork(context.clone_flags, cgroup.clone_fd, cgroup.entry_fds, fds[4])
            cgroup.entry_fds.clear()
        if pid == 0:
            try:
                ends = (fds[0], fds[1], fds[2], fds[3], fds[4], fds[5])
                child.live(ends, context, limits, order["required"], cgroup, heap)
            finally:
                # A child that came back to `_serve` would answer the zygote's orders as a second template.
                os._exit(1)
        # The handle is made here, because the kernel gives this pid to no other process until `_reap` has reaped the
        # child.
        pidfd = pidfd_of(pid)
        return json.dumps({"pid": pid}).encode(), [] if pidfd is None else [pidfd]
    except OSError as error:
        return json.dumps({"no_fork": [error.errno, error.strerror]}).encode(), []
    finally:
        oom_score.put(_oom_file, _oom_score)
        for fd in fds:
            os.close(fd)


def _reap(endings: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            endings.send(json.dumps({"exit": pid, "status": status}).encode())
