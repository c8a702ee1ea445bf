"""The supervisor's side of the zygote: starts it, takes spares from it, learns from it which children ended."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import subprocess
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..cgroups.cgroup_limits import Overhead
from ..cgroups.worker_cgroups import WorkerCgroups
from ..linux import processes
from ..wire.limits import Limits
from .log import log
from .run_process import RunProcess, signal_name

# Control, orders, stdout, stderr, begun; a pidfd where there are some; the listener of a run with a network.
_FDS_PER_SPARE = 7
_MAX_PACKET = 64 * 1024
_STOP_S = 2.0
# A fork takes the memory and a core away from a run that starts or ends at the same time; spares can wait.
_TOP_UP_DELAY_S = 0.01
_AFTER_RUN_S = 0.002
# Where each spare ends at once the next is made after twice the time, and that at most.
_LONGEST_DELAY_S = 2.0

# All that a run, or a package that is imported, finds in its environment besides HOME, TMPDIR and its secrets.
CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    # Several threads add up numbers in the order in which they come, and there are as many as the machine has CPUs.
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "RAYON")},
    "VECLIB_MAXIMUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    # DuckDB has no variable of its own: it takes its default for `threads` from this one.
    "SLURM_CPUS_ON_NODE": "1",
    # Arrow's allocator would ask for a gigabyte at once that it may write to, which counts as if it were used.
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    # Libraries that lay out text wrap and cut it at 80 columns where there is no terminal, and colour it if they may:
    # of a secret in it only the parts would be left to find.
    "COLUMNS": "200",
    "NO_COLOR": "1",
    "POLARS_FMT_STR_LEN": "100000",
}


class NoSpare(Exception):
    """No run child can be had; the text says why."""


class ZygoteLink:
    def __init__(
        self,
        python: str,
        run_dir: str,
        modules: Sequence[str],
        distributions: Sequence[str],
        programs: str,
        cgroups: WorkerCgroups,
    ) -> None:
        """`programs`: those of the tree, with commas between."""
        self._command = [python, "-s", "-P", "-m", "airlock_worker.zygote.zygote", "--run-dir", run_dir]
        self._command += [f"--import={module}" for module in modules]
        self._command += [f"--import-of={distribution}" for distribution in distributions]
        self._command.append(f"--programs={programs}")
        self._command += cgroups.zygote_arguments()
        self._run_dir = run_dir
        self._cgroups = cgroups
        self._spares: deque[RunProcess] = deque()
        self._waiting: deque[asyncio.Future[RunProcess]] = deque()
        self._alive: dict[int, RunProcess] = {}
        self._releases: set[asyncio.Task[None]] = set()
        # How many spares are wanted, and what each is made for; a series is the spares made for the same limits.
        self._wanted = 0
        self._limits: Limits | None = None
        self._series = 0
        # Of the current series, asked for and not here yet.
        self._ordered = 0
        # In a row.
        self._spares_ended = 0
        # With what every run child has before its script starts.
        self.ready: asyncio.Future[Overhead] = asyncio.get_running_loop().create_future()
        # Modules of packages that cannot be imported beforehand, each with the reason; known when ready.
        self.left_out: tuple[str, ...] = ()
        # Resolved with the reason when the zygote is gone and everything below it too.
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        environment = {**CLEAN_ENVIRONMENT, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        try:
            self._process = subprocess.Popen(
                [*self._command, f"--link={theirs.fileno()}"],
                env={**environment, "HOME": self._run_dir, "TMPDIR": self._run_dir},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *self._cgroups.descriptors()],
                start_new_session=True,
                # Another user of this directory is to read the .pyc files that it writes.
                umask=0o022,
            )
        finally:
            theirs.close()
        asyncio.get_running_loop().add_reader(ours, self._on_readable)

    def keep_spares(self, count: int, limits: Limits) -> None:
        """Has this many run children ready, made for these limits; those made for others are given up."""
        if limits != self._limits:
            self._limits = limits
            self._series += 1
            self._ordered = 0
            while self._spares:
                self._discard(self._spares.popleft())
        self._wanted = count
        self._top_up()

    async def take(self) -> RunProcess:
        """A spare, at once when there is one."""
        if self.lost.done():
            raise NoSpare("the worker has lost its zygote")
        loop = asyncio.get_running_loop()
        while self._spares:
            spare = self._spares.popleft()
            if not spare.exited.done():
                loop.call_later(_TOP_UP_DELAY_S, self._top_up)
                return spare
        waiter: asyncio.Future[RunProcess] = loop.create_future()
        self._waiting.append(waiter)
        self._top_up()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._spares.append(waiter.result())
            raise

    def _top_up(self) -> None:
        waiting = sum(not waiter.done() for waiter in self._waiting)
        count = self._wanted + waiting - len(self._spares) - self._ordered
        if count > 0 and self._limits is not None and not self.lost.done():
            order = {"fork": count, "limits": asdict(self._limits), "series": self._series}
            try:
                self._socket.send(json.dumps(order).encode())
                self._ordered += count
            except OSError as error:
                log("error", "the zygote takes no message", error=str(error))

    def _discard(self, spare: RunProcess) -> None:
        spare.kill()
        self._own(spare.release())

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    def _on_readable(self) -> None:
        # One call may find several packets; each costs less than another round of the loop.
        while True:
            try:
                packet, fds = self._receive()
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lose()
                return
            self._on_message(json.loads(packet), fds)

    def _receive(self) -> tuple[bytes, list[int]]:
        space = socket.CMSG_SPACE(_FDS_PER_SPARE * array.array("i").itemsize)
        packet, ancillary, _, _ = self._socket.recvmsg(_MAX_PACKET, space, socket.MSG_CMSG_CLOEXEC)
        fds = array.array("i")
        for _, kind, data in ancillary:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(data)
        return packet, list(fds)

    def _on_message(self, message: dict[str, Any], fds: list[int]) -> None:
        match message:
            case {"spare": int(pid), "series": int(series)}:
                self._alive[pid] = self._process_of(pid, message, fds)
                self._offer(self._alive[pid], series)
            case {"exit": int(pid), "status": int(status), "oom_kills": int(oom_kills)}:
                process = self._alive.pop(pid)
                process.oom_kills = oom_kills
                self._end(process, status)
            case {"ready": dict(overhead), "left_out": list(left_out)} if not self.ready.done():
                self.left_out = tuple(map(str, left_out))
                self.ready.set_result(Overhead(**overhead))
            case {"failed": str(text)} if not self.ready.done():
                self.ready.set_exception(NoSpare(text))
            case {"no_fork": str(text)}:
                self._ordered = 0
                for waiter in self._drain_waiting():
                    waiter.set_exception(NoSpare(f"the machine allows no further process: {text}"))

    def _process_of(self, pid: int, spare: dict[str, Any], fds: list[int]) -> RunProcess:
        rest = fds[5:]
        return RunProcess(
            pid,
            *fds[:5],
            pidfd=rest.pop(0) if spare["pidfd"] else None,
            listener=rest.pop(0) if rest else None,
            run_dir=self._run_dir,
            is_init=spare["init"],
            cgroup=spare["cgroup"],
            base_memory=self.ready.result().memory_bytes,
        )

    def _offer(self, process: RunProcess, series: int) -> None:
        if series != self._series:
            self._discard(process)
            return
        self._ordered -= 1
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(process)
                return
        self._spares.append(process)

    def _end(self, process: RunProcess, status: int) -> None:
        process.exited.set_result(status)
        if process in self._spares:
            # A script may have found and killed it; or what it needs cannot be had.
            self._spares.remove(process)
            self._own(process.release())
            self._spares_ended += 1
        else:
            self._spares_ended = 0
        delay = min(_AFTER_RUN_S * 2 ** min(self._spares_ended, 16), _LONGEST_DELAY_S)
        asyncio.get_running_loop().call_later(delay, self._top_up)

    def _drain_waiting(self) -> list[asyncio.Future[RunProcess]]:
        waiting = [waiter for waiter in self._waiting if not waiter.done()]
        self._waiting.clear()
        return waiting

    def _lose(self) -> None:
        """The zygote is gone, by whatever hand: what it leaves behind are our orphans now."""
        if self.lost.done():
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        try:
            code = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        processes.kill_orphans(())
        how = f"killed by {signal_name(-code)}" if code < 0 else f"exit status {code}"
        self.lost.set_result(how)
        if not self.ready.done():
            self.ready.set_exception(NoSpare(f"the project's interpreter ended while it started ({how})"))
        for waiter in self._drain_waiting():
            waiter.set_exception(NoSpare("the worker has lost its zygote"))
        for process in self._alive.values():
            process.exited.set_result(None)
        self._alive.clear()

    def stop(self) -> None:
        """Kills the zygote and all below it."""
        if not self.lost.done():
            for process in self._alive.values():
                process.kill()
            self._process.kill()
            self._lose()


def ensure_directory(path: str) -> None:
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, 0o700)
