"""The supervisor's connection to the zygote: starts it, takes spares from it (run children that are ready for a
script), and learns from it which children ended.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ..cgroups.cgroup_limits import Overhead
from ..cgroups.worker_cgroups import WorkerCgroups
from ..linux import descriptors, processes
from ..linux.process_handle import handle_of
from ..sandbox import sandbox
from ..wire.limits import Limits
from .log import log
from .run import ending
from .run.control_channel import ControlChannel
from .run_process import RunProcess, signal_name

# Most descriptors that the zygote sends with one spare: control, orders, stdout, stderr, begun; the spare's pidfd where
# the kernel has pidfds; the listener of a run with a network.
_FDS_PER_SPARE = 7
# Descriptors that the supervisor needs for one run: those of its spare, two files with output, and a copy of the
# listener. The next spare, which is ordered at once, needs as many.
DESCRIPTORS_OF_A_RUN = 2 * (_FDS_PER_SPARE + 3)
_MAX_PACKET = 64 * 1024
_STOP_S = 2.0
# Seconds after a spare was taken at which the next one is ordered, because a fork slows down a run that starts at the
# same time.
_TOP_UP_DELAY_S = 0.01
# Seconds after the end of a run at which missing spares are ordered, because a fork slows down a run that ends.
_AFTER_RUN_S = 0.002
# Seconds of the longest such delay. While spares keep ending before a run uses them, the delay doubles up to it.
_LONGEST_DELAY_S = 2.0

# All environment variables that packages see while they are imported, and that scripts see, besides HOME, TMPDIR and
# the run's secrets.
CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    # Libraries for numbers get a single thread, because several threads add up in varying order, and their number
    # depends on the machine's CPUs.
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "RAYON")},
    "VECLIB_MAXIMUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    # Polars' streaming engine adds up groups in a hash table, and the hashes are other ones in each process. When two
    # groups fall on the same entry of the table, their numbers are added in another order. The in-memory engine, which
    # Polars 2 no longer uses by itself, adds up in the order of the rows.
    "POLARS_ENGINE_AFFINITY": "in-memory",
    # For scripts that choose the streaming engine: with 1,000 groups, two fall on the same entry in 3 of 10,000 queries
    # in a table of this size, and in all queries in the default size.
    "POLARS_HOT_TABLE_SIZE": "1048576",
    # DuckDB has no variable of its own for threads; its default for `threads` comes from this one.
    "SLURM_CPUS_ON_NODE": "1",
    # Otherwise Arrow's allocator asks for a gigabyte of writable memory at once, which counts as if it were used.
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    # Without a terminal, libraries wrap or cut text at 80 columns, and colour it. The sanitizer could not find a secret
    # that is split that way.
    "COLUMNS": "200",
    "NO_COLOR": "1",
    "POLARS_FMT_STR_LEN": "100000",
    # Otherwise Polars wraps cells for a page of 100 columns. -1: it wraps none.
    "POLARS_TABLE_WIDTH": "-1",
}


class NoSpare(Exception):
    """No run child is available; the text says why."""


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
        """`modules`, `distributions`: what the project imports. `programs`: names of the sandbox tree's programs, with
        commas between.
        """
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
        # Number of spares to keep ready.
        self._wanted = 0
        # The limits that spares are made for; None: none were ordered yet.
        self._limits: Limits | None = None
        # Layers of the sandbox without which a child takes no run, as a bit mask of `sandbox.mask_of`; 0 until the
        # probe run is over.
        self._required = 0
        # Number of the current series. A series is all spares that are made for the same limits.
        self._series = 0
        # Number of spares of the current series that were ordered from the zygote and have not come yet.
        self._ordered = 0
        # Timer that orders the missing spares; None: none is set.
        self._next_top_up: asyncio.TimerHandle | None = None
        # Number of spares in a row that ended before a run used them.
        self._spares_ended = 0
        # Resolves when the packages are imported and children can be made, with the memory and processes that every run
        # child has before its script. Rejects with NoSpare when that failed.
        self.ready: asyncio.Future[Overhead] = asyncio.get_running_loop().create_future()
        # Modules that cannot be imported beforehand, each with the reason; set when `ready` resolves.
        self.left_out: tuple[str, ...] = ()
        # Resolves when the zygote and all processes below it are gone, with how the zygote ended.
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
                # The .pyc files that the zygote writes must be readable for the other users of this directory.
                umask=0o022,
            )
        finally:
            theirs.close()
        asyncio.get_running_loop().add_reader(ours, self._on_readable)

    def keep_spares(self, count: int, limits: Limits) -> None:
        """Keeps this many spares (run children that are ready for a script), made for these limits. Spares for other
        limits are killed.
        """
        if limits != self._limits:
            self._limits = limits
            self._series += 1
            self._ordered = 0
            while self._spares:
                self._discard(self._spares.popleft())
        self._wanted = count
        self._top_up()

    def require(self, layers: tuple[str, ...]) -> None:
        """From now on children end before they take a run unless they can enter these layers of the sandbox."""
        self._required = sandbox.mask_of(layers)

    async def take(self) -> RunProcess:
        """Returns a run child that is ready for a script, without waiting if there is a spare. Raises NoSpare."""
        if self.lost.done():
            raise NoSpare("the worker has lost its zygote")
        loop = asyncio.get_running_loop()
        while self._spares:
            spare = self._spares.popleft()
            if not spare.exited.done():
                self._top_up_later(_TOP_UP_DELAY_S)
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

    def _top_up_later(self, delay_s: float) -> None:
        """Orders the missing spares after this time, or earlier if that was asked for before."""
        loop = asyncio.get_running_loop()
        if self._next_top_up is not None:
            if self._next_top_up.when() <= loop.time() + delay_s:
                return
            self._next_top_up.cancel()
        self._next_top_up = loop.call_later(delay_s, self._on_top_up)

    def _on_top_up(self) -> None:
        self._next_top_up = None
        self._top_up()

    def _top_up(self) -> None:
        waiting = sum(not waiter.done() for waiter in self._waiting)
        count = self._wanted + waiting - len(self._spares) - self._ordered
        if count > 0 and self._limits is not None and not self.lost.done():
            order = {"fork": count, "limits": asdict(self._limits), "series": self._series, "required": self._required}
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
        # All packets that are ready are read at once, because reading one more costs less than another turn of the
        # event loop.
        while True:
            try:
                packet, fds, is_whole = self._receive()
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lose()
                return
            message = json.loads(packet)
            if is_whole:
                self._on_message(message, fds)
            else:
                self._refuse(message, fds)

    def _receive(self) -> tuple[bytes, list[int], bool]:
        """A packet, its descriptors, and whether these are all: the kernel leaves out those for which this process has
        no room.
        """
        space = socket.CMSG_SPACE(_FDS_PER_SPARE * array.array("i").itemsize)
        packet, ancillary, flags, _ = self._socket.recvmsg(_MAX_PACKET, space, socket.MSG_CMSG_CLOEXEC)
        fds = array.array("i")
        for _, kind, data in ancillary:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(data)
        return packet, list(fds), not flags & socket.MSG_CTRUNC

    def _refuse(self, spare: dict[str, Any], fds: list[int]) -> None:
        """Ends a spare whose descriptors did not all arrive."""
        for fd in fds:
            os.close(fd)
        with handle_of(spare["spare"]) as process:
            process.send(signal.SIGKILL)
        if spare["series"] == self._series:
            self._ordered -= 1
        log("error", "a run child was ended, because the worker has no file descriptors left")
        for waiter in self._drain_waiting():
            waiter.set_exception(NoSpare(ending.no_descriptors_text(descriptors.limit())))

    def _on_message(self, message: dict[str, Any], fds: list[int]) -> None:
        match message:
            case {"spare": int(pid), "series": int(series)}:
                self._alive[pid] = self._process_of(pid, message, fds)
                self._offer(self._alive[pid], series)
            case {"exit": int(pid), "status": int(status), "oom_kills": int(oom_kills)}:
                # A spare that was refused is not known.
                if (process := self._alive.pop(pid, None)) is not None:
                    process.note_end(oom_kills)
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
            count_kills=partial(self._cgroups.oom_kills, spare["cgroup"]),
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
            # The spare ended before a run used it: a script may have killed it, or the spare could not get what it
            # needs.
            self._spares.remove(process)
            if self._spares_ended == 0:
                log("warn", "a run child ended before it got a run", reason=self._last_words_of(process))
            self._own(process.release())
            self._spares_ended += 1
        else:
            self._spares_ended = 0
        delay = min(_AFTER_RUN_S * 2 ** min(self._spares_ended, 16), _LONGEST_DELAY_S)
        self._top_up_later(delay)

    def _last_words_of(self, process: RunProcess) -> str:
        assert self._limits is not None
        talk = ControlChannel(self._limits, process.has_begun)
        talk.read_all(process.control)
        return talk.ending.error if talk.ending else "it said nothing"

    def _drain_waiting(self) -> list[asyncio.Future[RunProcess]]:
        waiting = [waiter for waiter in self._waiting if not waiter.done()]
        self._waiting.clear()
        return waiting

    def _lose(self) -> None:
        """Handles the end of the zygote, whatever its cause. Its descendants are now orphans of the supervisor, and are
        killed.
        """
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
        """Kills the zygote and all processes below it."""
        if not self.lost.done():
            for process in self._alive.values():
                process.kill()
            self._process.kill()
            self._lose()


def ensure_directory(path: str) -> None:
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, 0o700)
