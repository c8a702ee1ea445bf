"""The zygote: imports the project's packages once and forks run children on demand.

Single-threaded, standard library only, started with the project's own interpreter. It holds no secret and no socket
but the link to its supervisor: whatever is in its memory can be read by every script.

Messages over the link are JSON, one a packet. From the zygote: `{"failed": text}`, `{"ready": what every run child has
before its script}`, `{"spare": pid, "series": n, "init": whether it is process 1 of a pid namespace, "cgroup": name}`
with three descriptors (control, stdout, stderr) and, when the limits say `network`, a fourth: the listener for the
egress proxy on 127.0.0.1 in the child's network namespace; `{"exit": pid, "status": wait status, "oom_kills": n}`,
`{"no_fork": text}`. From the supervisor: `{"fork": n, "limits": {...}, "series": n}`.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import select
import signal
import socket
from dataclasses import asdict, dataclass

from . import child, entrance, ground, init, kernel, namespaces, preload, processes, script, seccomp
from .cgroup_limits import Overhead
from .room import Limits, Room, address_space_bytes, private_memory_bytes
from .run_cgroup import RunCgroup, RunCgroups

_REHEARSALS = 20


@dataclass(frozen=True)
class _Child:
    # The other end of its status socket.
    word: socket.socket
    cgroup: RunCgroup


class Zygote:
    def __init__(self, link: socket.socket, room: Room, cgroups: RunCgroups) -> None:
        self._link = link
        self._room = room
        self._cgroups = cgroups
        # By pid.
        self._children: dict[int, _Child] = {}

    def serve(self) -> None:
        """Returns when the supervisor is gone."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == wake_read:
                    os.read(wake_read, 512)
                    self._reap()
                elif packet := self._link.recv(4096):
                    order = json.loads(packet)
                    limits = Limits(**order["limits"])
                    for _ in range(order["fork"]):
                        self._fork(limits, order["series"])
                else:
                    return

    def _fork(self, limits: Limits, series: int) -> None:
        control, childs_control = socket.socketpair()
        status, childs_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, childs_out = os.pipe()
        err, childs_err = os.pipe()
        try:
            ends = (childs_control.fileno(), childs_out, childs_err, childs_status.fileno())
            pid, cgroup = self._fork_into_cgroup(limits, ends)
            childs_status.close()
            self._children[pid] = _Child(status, cgroup)
            listener = socket.recv_fds(status, 64, 1)[1] if limits.network else []
            spare = {"spare": pid, "series": series, "init": self._room.own_pids, "cgroup": cgroup.name}
            self.send(spare, control.fileno(), out, err, *listener)
            for fd in listener:
                os.close(fd)
        except OSError as error:
            status.close()
            self.send({"no_fork": str(error)})
        finally:
            for end in (control, childs_control, childs_status):
                end.close()
            for fd in (out, childs_out, err, childs_err):
                os.close(fd)

    def _fork_into_cgroup(self, limits: Limits, ends: tuple[int, int, int, int]) -> tuple[int, RunCgroup]:
        cgroup = self._cgroups.take(limits)
        try:
            pid = namespaces.fork(self._room, cgroup)
            if pid == 0:
                child.live(*ends, self._room, limits, cgroup)
        except OSError:
            self._cgroups.give_back(cgroup)
            raise
        finally:
            cgroup.close()
        return pid, cgroup

    def _reap(self) -> None:
        ended: list[tuple[int, int, RunCgroup]] = []
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid in self._children:
                    child_of_ours = self._children.pop(pid)
                    with child_of_ours.word as word:
                        ended.append((pid, init.status_from(word, status), child_of_ours.cgroup))
        # Told only when nothing that a dead run started is left.
        processes.kill_orphans(self._children)
        for pid, status, cgroup in ended:
            oom_kills = self._cgroups.oom_kills(cgroup)
            self.send({"exit": pid, "status": status, "oom_kills": oom_kills})
            self._cgroups.give_back(cgroup, oom_kills)

    def send(self, message: dict[str, object], *fds: int) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._link.sendmsg([json.dumps(message).encode()], ancillary)


def main() -> None:
    order = entrance.enter()
    link, room = order.link, order.room
    os.umask(0o022)
    # gVisor lets a script stop process 1 of its namespace, and tells the session that has a stopped member left alone.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # While packages are imported nobody reads the link, so the kernel has to notice a supervisor that dies.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    ground.prepare(room, preload.paths_to_keep())
    cgroups = RunCgroups(order.cgroups, clone_into=room.own_pids)
    if problems := [text for text in (order.cgroup_problem, cgroups.try_out()) if text]:
        room.problems["cgroup"] = "; ".join(problems)
    problem = preload.import_all(order.modules, order.distributions)
    if problem is not None:
        link.send(json.dumps({"failed": problem}).encode())
        return
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 0)
    preload.forget_worker_path()
    child.prepare_output()
    seccomp.prepare()
    for _ in range(_REHEARSALS):
        # An interpreter rewrites code as it finds out how it is used: better here, once, than in every child.
        script.rehearse()
    zygote = Zygote(link, room, cgroups)
    room.base_address_space = address_space_bytes()
    cgroups.overhead = Overhead(private_memory_bytes(), processes=int(room.own_pids))
    gc.collect()
    gc.freeze()
    zygote.send({"ready": asdict(cgroups.overhead)})
    try:
        zygote.serve()
    finally:
        processes.kill_orphans(())


if __name__ == "__main__":
    main()
