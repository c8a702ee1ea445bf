"""A run child as the supervisor holds it: its descriptors, its end, and the hand on its whole process tree."""

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
    ) -> None:
        # Signals go by it: the template may have reaped the process before the supervisor hears of its end.
        self.handle = ProcessHandle(pid, pidfd)
        self.pid = pid
        # What the child says.
        self.control = control
        # What it is told.
        self._orders = orders
        self.out = out
        self.err = err
        self._begun = begun
        self._has_begun = False
        # Whether it is not the script itself but process 1 of its namespace, whose end ends all of it.
        self.is_init = is_init
        # What it has in memory before its script, in bytes.
        self.base_memory = base_memory
        # The name of its cgroup below the worker's.
        self.cgroup = cgroup
        # Where the run's connections to the egress proxy arrive; None: it has no network.
        self.listener = listener
        self._run_dir = run_dir
        for fd in (control, orders, out, err, begun):
            os.set_blocking(fd, False)
        # The wait status once the process is reaped and nothing of its tree is left; None: the zygote was lost. A task
        # that is cancelled must not cancel it: see `gone`.
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        # Of its processes, as many as the kernel has killed for lack of memory; known when it has exited.
        self.oom_kills = 0
        # Whether a SIGKILL that ends it was ours.
        self.killed_by_us = False
        self._unsent = memoryview(b"")
        self._sending = False

    def has_begun(self) -> bool:
        """Whether the script's code may have run. The script cannot take that back."""
        if not self._has_begun:
            with contextlib.suppress(BlockingIOError):
                self._has_begun = os.read(self._begun, 1) != b""
        return self._has_begun

    def send(self, data: bytes) -> None:
        """Writes to the orders pipe, now or as the child reads; a child that is gone is no error here."""
        self._unsent = memoryview(bytes(self._unsent) + data)
        self._send_some()

    def tell_beginning(self, ring: Callable[[], None] | None) -> None:
        """Calls `ring` when the script begins, or the child ends before; None: no more."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._begun)
        if ring is not None:
            loop.add_reader(self._begun, ring)

    def _send_some(self) -> None:
        try:
            written = os.write(self._orders, self._unsent)
            # An empty view would keep all that was sent.
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
        """Stops the whole tree. It may end meanwhile."""
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
        """Waits for `exited`, which goes on when the task that waits is cancelled."""
        return await asyncio.shield(self.exited)

    async def release(self) -> None:
        """Once the process has ended: closes what is open and removes what it left. Call it once."""
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
