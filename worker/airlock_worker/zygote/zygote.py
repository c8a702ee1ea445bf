"""The zygote: sets up the sandbox that runs live in, and has the template fork a child for each run.

Single-threaded, standard library only, run by the project's own interpreter. It holds no secret, and no socket but the
link to its supervisor, because every script can read its memory.

Messages over the link are JSON, one per packet. From the zygote: `{"failed": text}`; `{"ready": memory and processes of
every run child before its script, "left_out": [modules that could not be imported]}`; `{"spare": pid, "series": n,
"init": whether it is process 1 of a pid namespace, "cgroup": name, "pidfd": whether there is one}` with five
descriptors (control, orders, stdout, stderr, begun), the pidfd and, when the limits say `network`, the listener for the
egress proxy on 127.0.0.1 in the child's network namespace; `{"exit": pid, "status": wait status, "oom_kills": n}`;
`{"no_fork": text}`. From the supervisor: `{"fork": n, "limits": {...}, "required": mask of the layers of the
sandbox without which a child takes no run, "series": n}`.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
from dataclasses import dataclass
from typing import Any

from ..cgroups.cgroup_limits import Overhead
from ..cgroups.run_cgroup import RunCgroup, RunCgroups
from ..child import child, init
from ..linux import kernel, processes
from ..sandbox import namespace_setup
from ..sandbox.context import SandboxContext
from ..wire.limits import Limits
from . import entrance, preload
from .template import Template


@dataclass(frozen=True)
class _Child:
    # The zygote's end of the socket on which process 1 of the run reports the script's exit status.
    word: socket.socket
    cgroup: RunCgroup


class Zygote:
    def __init__(self, link: socket.socket, context: SandboxContext, cgroups: RunCgroups, template: Template) -> None:
        self._link = link
        self._context = context
        self._cgroups = cgroups
        self._template = template
        # Living run children, by pid.
        self._children: dict[int, _Child] = {}

    def serve(self, overhead: Overhead) -> bool:
        """Serves the supervisor's orders. Returns True when the supervisor is gone, False when the template is."""
        self._cgroups.overhead = overhead
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(self._template.endings, select.POLLIN)
        while True:
            readable = [fd for fd, _ in poll.poll()]
            # Endings are handled before orders, because a fork may reuse the cgroups of the children that ended.
            if self._template.endings.fileno() in readable:
                ending = self._template.next_ending()
                if ending is None:
                    return False
                self._end(*ending)
            if self._link.fileno() in readable:
                packet = self._link.recv(4096)
                if not packet:
                    return True
                order = json.loads(packet)
                limits = Limits(**order["limits"])
                for _ in range(order["fork"]):
                    self._fork(limits, order["required"], order["series"])
                    while self._template.early:
                        self._end(*self._template.early.popleft())

    def _fork(self, limits: Limits, required: int, series: int) -> None:
        # The supervisor and the child talk over two pipes and not a socket, because over a socket a script could send
        # descriptors. The supervisor would close these as it reads, and a close can take as long as the script likes
        # (SO_LINGER).
        control, childs_control = os.pipe()
        childs_orders, orders = os.pipe()
        status, childs_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, childs_out = os.pipe()
        err, childs_err = os.pipe()
        begun, childs_begun = os.pipe()
        passed: list[int] = []
        try:
            ends = (childs_control, childs_orders, childs_out, childs_err, childs_status.fileno(), childs_begun)
            pid, pidfd, cgroup = self._fork_into_cgroup(limits, required, ends)
            passed.extend(pidfd)
            childs_status.close()
            self._children[pid] = _Child(status, cgroup)
            passed.extend(socket.recv_fds(status, 64, 1)[1] if limits.network else [])
            spare = {"spare": pid, "series": series, "init": self._context.own_pids, "cgroup": cgroup.name}
            self.send({**spare, "pidfd": bool(pidfd)}, control, orders, out, err, begun, *passed)
        except OSError as error:
            status.close()
            self.send({"no_fork": str(error)})
        finally:
            childs_status.close()
            pipes = (
                control,
                childs_control,
                orders,
                childs_orders,
                out,
                childs_out,
                err,
                childs_err,
                begun,
                childs_begun,
            )
            for fd in (*pipes, *passed):
                os.close(fd)

    def _fork_into_cgroup(self, limits: Limits, required: int, ends: child.Ends) -> tuple[int, list[int], RunCgroup]:
        cgroup = self._cgroups.take(limits)
        try:
            return *self._template.fork(limits, required, ends, cgroup), cgroup
        except OSError:
            self._cgroups.give_back(cgroup)
            raise
        finally:
            cgroup.close()

    def _end(self, pid: int, status: int) -> None:
        child = self._children.pop(pid, None)
        if child is None:
            # The process was no run child: a thread that a package left in the template may start processes, too.
            return
        with child.word as word:
            status = init.status_from(word, status)
        # The supervisor gets the end only when all processes of the run are gone. They have become children of the
        # zygote, which kills them here.
        processes.kill_orphans((self._template.pid,))
        oom_kills = self._cgroups.oom_kills(child.cgroup)
        self.send({"exit": pid, "status": status, "oom_kills": oom_kills})
        self._cgroups.give_back(child.cgroup, oom_kills)

    def send(self, message: dict[str, object], *fds: int) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._link.sendmsg([json.dumps(message).encode()], ancillary)


def _start_template(order: entrance.Order, context: SandboxContext) -> tuple[Template, dict[str, Any] | None]:
    """Starts the template and waits for its first message (None: it ended without one). A module whose import ends the
    process is left out by the next template.
    """
    closed_in_it = [order.link.fileno(), *(place.directory for place in order.cgroups)]
    skipped: dict[str, str] = {}
    while True:
        template = Template(context, order.modules, order.distributions, closed_in_it, skipped)
        first = template.until_ready()
        reason = template.ended_by_import() if first is None else None
        if reason is None:
            return template, first
        assert template.importing is not None
        skipped[template.importing] = reason


def main() -> None:
    order = entrance.enter()
    link, context = order.link, order.context
    os.umask(0o022)
    # The supervisor ignores SIGINT; a script gets Python's usual handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # SIGHUP is ignored, because gVisor lets a script stop process 1 of its namespace, and then sends SIGHUP to a
    # session with a stopped member.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # The kernel must end the zygote with its supervisor, because the zygote does not read the link during imports.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    namespace_setup.prepare(context, preload.paths_to_keep())
    cgroups = RunCgroups(order.cgroups, clone_into=context.own_pids)
    if problems := [text for text in (order.cgroup_problem, cgroups.try_out()) if text]:
        context.problems["cgroup"] = "; ".join(problems)
    context.cgroup_entries = cgroups.entries
    template, first = _start_template(order, context)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 0)
    zygote = Zygote(link, context, cgroups, template)
    try:
        # Processes that packages started and left have become children of the zygote.
        processes.kill_orphans((template.pid,))
        if first is not None:
            zygote.send(first)
        if first is None or ("ready" in first and not zygote.serve(Overhead(**first["ready"]))):
            template.end_like_it()
    finally:
        # Kills all that is left below the zygote, also the template if it still exists.
        processes.kill_orphans(())


if __name__ == "__main__":
    main()
