"""A run child in the supervisor: its descriptors, its end, and control over its whole process tree."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from ..linux import processes
from ..linux.process_handle import ProcessHandle
from ..linux.remove_tree import remove_tree
from ..sandbox import mounts

_FREEZE_STEP_S = 0.001
_FREEZE_STEPS = 100


class RunProcess:
    def __init__(
        self,
        pid: int,
        control: int,
        orders: int,
        out: int,
        err: int,
        begun: int,
        *,
        pidfd: int | None,
        listener: int | None,
        run_dir: str,
        is_init: bool,
        cgroup: str,
        base_memory: int = 0,
        count_kills: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`count_kills`: how many processes the kernel has ever killed in the run's cgroup for lack of memory; None
        where it does not count them.
        """
        # Handle by which signals are sent. A pid alone would not do, because the template may reap the process before
        # the supervisor learns of its end, and the kernel may then give the pid to another process.
        self.handle = ProcessHandle(pid, pidfd)
        self.pid = pid
        # Descriptor of the pipe that carries the child's frames to the supervisor.
        self.control = control
        # Descriptor of the pipe that carries the supervisor's frames to the child.
        self._orders = orders
        self.out = out
        self.err = err
        # Descriptor of the pipe on which the child writes one byte just before the script begins.
        self._begun = begun
        self._has_begun = False
        # Whether this process is process 1 of the run's pid namespace, not the script. Its end kills the whole
        # namespace.
        self.is_init = is_init
        # Bytes that the process has in memory before its script.
        self.base_memory = base_memory
        # Name of the run's cgroup, a directory below the worker's own cgroup.
        self.cgroup = cgroup
        # Socket on which the run's connections to the egress proxy arrive; None for a run without a network.
        self.listener = listener
        self._run_dir = run_dir
        for fd in (control, orders, out, err, begun):
            os.set_blocking(fd, False)
        # Resolves with the wait status when the process is reaped and all its descendants are gone; with None if the
        # zygote was lost. Await it through `gone`, because cancelling a task that awaits it directly would cancel it.
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        # Number of the run's processes that the kernel killed for lack of memory, from the zygote's last message; 0
        # until `exited` resolves.
        self._oom_kills = 0
        self._count_kills = count_kills
        # Number of processes that the kernel had killed in the cgroup before this process was made; None where it does
        # not count them.
        self._earlier_kills = count_kills()
        # Whether the supervisor sent the SIGKILL that ends the process.
        self.killed_by_us = False
        self._unsent = memoryview(b"")
        self._sending = False

    def has_begun(self) -> bool:
        """Whether the script's code may have run: the child has written its byte to the `begun` pipe. A script cannot
        undo this.
        """
        if not self._has_begun:
            with contextlib.suppress(BlockingIOError):
                self._has_begun = os.read(self._begun, 1) != b""
        return self._has_begun

    @property
    def oom_kills(self) -> int | None:
        """Number of the run's processes that the kernel has killed for lack of memory. None: it does not count them."""
        if self._earlier_kills is None:
            return None
        # When the run has ended, the cgroup may belong to another run, so the count from the zygote's last message is
        # used.
        kills = None if self.exited.done() else self._count_kills()
        return self._oom_kills if kills is None else kills - self._earlier_kills

    def note_end(self, oom_kills: int) -> None:
        """Notes how many processes the kernel killed in the ended run, as the zygote reports. Call it before `exited`
        resolves.
        """
        self._oom_kills = oom_kills

    def send(self, data: bytes) -> None:
        """Sends frames to the child: at once as far as its pipe takes them, the rest as the child reads. A child that
        has ended is no error here.
        """
        self._unsent = memoryview(bytes(self._unsent) + data)
        self._send_some()

    def tell_beginning(self, ring: Callable[[], None] | None) -> None:
        """Calls `ring` when the script begins, or when the child ends before that. With None nothing is called any
        more.
        """
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._begun)
        if ring is not None:
            loop.add_reader(self._begun, ring)

    def _send_some(self) -> None:
        try:
            written = os.write(self._orders, self._unsent)
            # A new empty view, because a slice of the old one would keep all sent bytes in memory.
            self._unsent = self._unsent[written:] if written < len(self._unsent) else memoryview(b"")
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = memoryview(b"")
        loop = asyncio.get_running_loop()
        if self._unsent and not self._sending:
            loop.add_writer(self._orders, self._send_some)
            self._sending = True
        elif not self._unsent and self._sending:
            loop.remove_writer(self._orders)
            self._sending = False

    async def freeze(self) -> None:
        """Stops all processes of the run. Returns early if the run ends meanwhile."""
        for _ in range(_FREEZE_STEPS):
            if self.exited.done() or processes.freeze_tree(self.handle, spare_root=self.is_init):
                return
            await asyncio.sleep(_FREEZE_STEP_S)

    def thaw(self) -> None:
        if not self.exited.done():
            processes.thaw_tree(self.handle)

    def kill(self) -> None:
        if not self.exited.done():
            self.killed_by_us = True
            if self.is_init:
                self.handle.send(signal.SIGKILL)
            else:
                processes.kill_tree(self.handle)

    async def gone(self) -> int | None:
        """Waits for `exited`, and leaves it intact if the waiting task is cancelled."""
        return await asyncio.shield(self.exited)

    async def release(self) -> None:
        """Waits until the process has ended, closes its descriptors and removes its scratch directory. Call it once."""
        await self.gone()
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._orders)
        for fd in (self.control, self._orders, self.out, self.err, self._begun, self.listener):
            if fd is not None:
                loop.remove_reader(fd)
                os.close(fd)
        self.handle.close()
        scratch = mounts.scratch_outside(self._run_dir, self.pid)
        if os.path.lexists(scratch):
            await asyncio.to_thread(remove_tree, scratch)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
