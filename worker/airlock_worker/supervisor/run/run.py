"""Manages one run: starts the script in a run child, records its output, llm requests and ending, and stops it when it
must not go on. The run goes on while no router is connected to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from typing import Any

from ...cgroups.outer_cgroup import OuterCgroup
from ...linux import processes
from ...wire import frames
from ..messages import Messages
from ..run_process import RunProcess
from ..status import StatusBoard
from ..tunnels import relay
from ..tunnels.tunnels import Tunnels
from . import ending, llm_requests, run_state
from .container_kills import ContainerKills
from .control_channel import ControlChannel
from .documents import checked, documents_of
from .ending import Ending
from .llm_requests import LlmRequests, Open
from .memory_watch import MemoryWatch
from .output import OutputPipe
from .pause_watch import PauseWatch
from .process_count import ProcessCount
from .record import Record
from .run_state import Done, RunState, Stopped
from .start import Start
from .stopwatch import Stopwatch

# Seconds that a child may take to end after its DONE frame, which reports the script's end, before it is killed.
_LAST_WORD_S = 2.0
# Seconds after the kill of a run for which its processes may still be dying. Then the router takes the worker for hung.
_LONGEST_DYING_S = 60
# Bytes of code, settings and memory above which the child takes a while to read them. That must not count as the
# script's time.
_LARGE_START_BYTES = 64 * 1024
# Seconds after which the script's time begins at the latest, even if the child has not begun the script. The router
# uses the same number (running-time.ts).
_LONGEST_BEGINNING_S = 5.0


class Run:
    def __init__(
        self,
        process: RunProcess,
        start: Start,
        messages: Messages,
        board: StatusBoard,
        tunnels: Tunnels,
        output_dir: str,
        outer: OuterCgroup,
    ) -> None:
        self._process = process
        self._outer = outer
        self._container_kills = ContainerKills(outer)
        # The kernel's count of processes that it refused in the worker's container, when the script last began or
        # resumed.
        self._refused = outer.counts().refused
        self._start = start
        self._messages = messages
        self._board = board
        self._tunnels = tunnels
        self._woken = asyncio.Event()
        self._talk = ControlChannel(start.limits, process.has_begun)
        self._outputs = [
            OutputPipe(process.out, False, start.limits.max_output_bytes, self._on_output),
            OutputPipe(process.err, True, start.limits.max_output_bytes, self._on_output),
        ]
        self._clock = Stopwatch(start.timeout_ms, self._on_timeout)
        # Timer that starts the run's clock if the script has not begun by then; None when the clock starts at once.
        self._beginning: asyncio.TimerHandle | None = None
        self._process_count = ProcessCount(process.pid, start.limits.pids, self._on_crowd)
        self._memory_watch = MemoryWatch(
            process.handle,
            is_init=process.is_init,
            limits=start.limits,
            base=process.base_memory,
            count_kills=lambda: process.oom_kills,
            ring=self._stop,
        )
        # Watches a paused run: one whose processes wake themselves counts as running, so its time, memory and processes
        # are watched again.
        self._pause_watch = PauseWatch(process.pid, is_init=process.is_init, ring=self._on_moved)
        self._state: RunState = run_state.RUNNING
        # Set when a caller has stopped the run, so that its documents need not be checked any more.
        self._is_stopped = threading.Event()
        self._llm_requests: LlmRequests = llm_requests.NONE_YET
        self.record = Record(messages, output_dir)

    async def conduct(self) -> None:
        """Runs the script to its end. Returns when the record is finished; the caller then releases the process."""
        async with contextlib.AsyncExitStack() as stack:
            await self._conduct(await self._open_proxy(stack))

    async def _open_proxy(self, stack: contextlib.AsyncExitStack) -> int | None:
        """Port of the run's own proxy, which stays open as long as `stack`; None for a run without a network."""
        if self._start.network is None:
            return None
        assert self._process.listener is not None
        listener = socket.socket(fileno=os.dup(self._process.listener))
        port: int = listener.getsockname()[1]
        tunnels = stack.enter_context(self._tunnels.of_run(self._start.execution_id))
        await stack.enter_async_context(relay.relaying(listener, tunnels))
        return port

    async def _conduct(self, proxy_port: int | None) -> None:
        try:
            self._begin(proxy_port)
            while not (self._process.exited.done() or self._has_told_all()):
                await self._woken.wait()
                self._woken.clear()
                if self._talk.llm_request is not None:
                    await self._pause()
            await self._finish()
        finally:
            self._hold_clock()
            if isinstance(self._state, Done):
                self._state.kill.cancel()
            self._process.kill()

    @property
    def is_paused(self) -> bool:
        """Whether the script waits for the response to an llm request."""
        return isinstance(self._llm_requests, Open)

    @property
    def llm_timeout_s(self) -> float:
        return self._start.llm_timeout_ms / 1000

    def stop(self) -> None:
        """Kills the script and all processes that it started."""
        self._is_stopped.set()
        self._process.kill()

    def answer(self, request_id: str, response: str) -> str | None:
        """Gives the script the response to its llm request. Returns what is wrong with the response; None if it is
        accepted or ignored.
        """
        after = llm_requests.answered(self._llm_requests, request_id, response)
        if isinstance(after, str):
            return after
        if after is not self._llm_requests:
            self.record.answered()
        self._llm_requests = after
        return None

    def _begin(self, proxy_port: int | None) -> None:
        self._process.exited.add_done_callback(lambda _: self._woken.set())
        asyncio.get_running_loop().add_reader(self._process.control, self._on_control)
        for output in self._outputs:
            output.resume()
        orders = self._start.frames(proxy_port)
        if len(orders) > _LARGE_START_BYTES:
            self._wait_for_beginning()
        self._run_clock()
        self._process.send(orders)
        self._start = self._start.without_script()

    def _wait_for_beginning(self) -> None:
        self._beginning = asyncio.get_running_loop().call_later(_LONGEST_BEGINNING_S, self._on_beginning)
        self._process.tell_beginning(self._on_beginning)

    def _on_beginning(self) -> None:
        self._end_beginning()
        self._clock.start()

    def _end_beginning(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
            self._process.tell_beginning(None)

    def _on_control(self) -> None:
        self._talk.read(self._process.control)
        if self._talk.is_at_end or self._talk.violated:
            asyncio.get_running_loop().remove_reader(self._process.control)
        if self._talk.violated:
            self._process.kill()
        elif self._talk.ending is not None:
            # The script may have forged this DONE frame, so its processes are watched until they are gone.
            self._end_beginning()
            self._clock.stop()
            self._woken.set()
            self._state = run_state.reported(self._state, self._kill_later)
        elif self._talk.llm_request is not None:
            self._woken.set()

    def _on_timeout(self) -> None:
        self._stop(ending.of_timeout(self._start.timeout_ms))

    def _on_crowd(self) -> None:
        self._stop(ending.of_crowd(self._start.limits.pids))

    def _on_moved(self) -> None:
        """Called when processes of the paused run have used the CPU, ended or started others. The run is stopped if the
        kernel may have killed one of them, and otherwise counts as running.
        """
        lost = min(self._container_kills.in_pause(), self._pause_watch.lost_processes())
        if lost:
            # The kills are not taken out of the counts of the worker's other runs, because these processes may also
            # have ended in another way.
            self._stop(ending.of_unexplained_kills(lost, self._start.limits))
        else:
            self._run_clock()

    def _kill_later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(_LAST_WORD_S, self._process.kill)

    def _stop(self, why: Ending) -> None:
        self._state = run_state.stopped(self._state, why)
        self._process.kill()
        self._tell_dying(_LONGEST_DYING_S)

    def _tell_dying(self, left_s: int) -> None:
        """Tells the router every second that processes that were killed are not gone yet, because the kernel may need
        many seconds to free what they hold. Ends when they are dead, because then only the zygote has to say so, and
        one that does not is hung.
        """
        if left_s > 0 and not self._process.exited.done() and processes.exists(self._process.handle.pid):
            self.record.note_not_done()
            asyncio.get_running_loop().call_later(1, self._tell_dying, left_s - 1)

    def _hold_clock(self) -> None:
        self._end_beginning()
        self._clock.stop()
        self._process_count.stop()
        self._memory_watch.stop()

    def _run_clock(self) -> None:
        self._refused = self._outer.counts().refused
        if self._beginning is None:
            self._clock.start()
        self._process_count.start()
        self._memory_watch.start()

    def _on_output(self) -> None:
        if self.record.finished:
            return
        # The output is recorded here and not in the run's task, so that the task is not woken for each piece.
        self._record_output()
        if self._has_told_all():
            self._woken.set()

    def _record_output(self) -> None:
        for output in self._outputs:
            while piece := output.take():
                self.record.write(piece, is_stderr=output.is_stderr)
            self.record.note_cut(output.truncated_bytes, is_stderr=output.is_stderr)

    def _drain_output(self) -> None:
        for output in self._outputs:
            while piece := output.drain():
                self.record.write(piece, is_stderr=output.is_stderr)
            self.record.note_cut(output.truncated_bytes, is_stderr=output.is_stderr)

    async def _pause(self) -> None:
        """Freezes the run's processes until the script's llm request has a response."""
        self._hold_clock()
        await self._process.freeze()
        # Reads frames that another thread of the script may have sent before the freeze took effect. They may say that
        # the script has ended.
        self._on_control()
        asking, self._talk.llm_request = self._talk.llm_request, None
        if asking is None:
            if self._talk.ending is None:
                self._run_clock()
            self._process.thaw()
            return
        self._drain_output()
        asked = self._llm_requests = llm_requests.opened(self._llm_requests)
        request = self._messages.LlmRequest(id=asked.id, prompt=asking.prompt, model=asking.model)
        self.record.ask(request, self._clock.elapsed_ms())
        waited_for: set[asyncio.Future[Any]] = {asked.response, self._process.exited}
        self._container_kills.pause()
        self._pause_watch.start()
        began_s = time.monotonic()
        try:
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pause_watch.stop()
        self._llm_requests = llm_requests.given_up(self._llm_requests)
        self.record.answered()
        if not asked.response.done():
            return
        self._container_kills.resume(self._pause_watch.has_moved)
        if self._pause_watch.is_awake_at_end():
            self._clock.add(time.monotonic() - began_s)
            self._run_clock()
            self._memory_watch.look_now()
            self._process_count.look_now()
        else:
            self._run_clock()
        self._process.thaw()
        self._process.send(frames.pack(frames.RESPONSE, json.dumps(asked.response.result()).encode()))

    def _has_told_all(self) -> bool:
        """Whether a completed script can send nothing more, so that the end of its processes need not be awaited.

        Waiting would take longer than many scripts run, and could not change the ending. Without a process 1 of its
        own, a run is always waited for, because its children may outlive it.
        """
        told = self._talk.ending
        # While the pipe is open, the child's real DONE frame may still follow, because a script may have forged this
        # one.
        is_completed = told is not None and told.end == "completed" and self._talk.is_at_end
        return is_completed and self._process.is_init and all(output.is_at_end for output in self._outputs)

    async def _finish(self) -> None:
        self._hold_clock()
        self._talk.read_all(self._process.control)
        self._drain_output()
        ended = await checked(self._ending(), self._talk, self.record.note_not_done, self._is_stopped)
        for output in self._outputs:
            if last := output.end(is_killed=ended.end in ending.KILLS):
                self.record.write(last, is_stderr=output.is_stderr)
        if ended.retire:
            self._board.change("retiring", ended.retire)
            await self._board.told()
        documents = [
            self._messages.RunResponse(document=self._messages.RunDocument(kind=kind, data=text))
            for kind, text in documents_of(ended, self._talk)
        ]
        self.record.finish([*documents, self._messages.RunResponse(finished=self._finished(ended))])

    def _ending(self) -> Ending:
        ended = self._ending_of_script()
        kills, limits = self._process.oom_kills, self._start.limits
        if kills is None:
            return ending.with_unexplained_kills(ended, self._container_kills.count(), limits)
        return ending.with_oom_kills(ended, kills, limits)

    def _ending_of_script(self) -> Ending:
        if not self._process.exited.done():
            assert self._talk.ending is not None
            return self._talk.ending
        status = self._process.exited.result()
        if status is None:
            return ending.of_status(None, self._process.killed_by_us, own_pids=self._process.is_init)
        ended = self._talk.ending or self._held_against_it(status)
        if ended is None and self._process.oom_kills and ending.is_sigkill(status):
            return ending.of_memory(self._start.limits)
        is_sigkill = ending.is_sigkill(status) and not self._process.killed_by_us
        if ended is None and is_sigkill and self._container_kills.count():
            # The kill is not taken out of the counts of the worker's other runs, because a script may also have sent
            # the signal itself.
            return ending.of_container_memory(self._start.limits)
        if ended is None and not self._process.has_begun() and not self._process.killed_by_us:
            return ending.of_no_beginning(status)
        ended = ended or ending.of_status(status, self._process.killed_by_us, own_pids=self._process.is_init)
        if self._outer.counts().refused == self._refused:
            return ended
        return ending.with_refusals(ended, self._start.limits, self._outer.most_processes())

    def _held_against_it(self, status: int) -> Ending | None:
        """The reason why the supervisor stopped the script; None if it did not.

        A timeout does not count if the script had exited by itself and only the supervisor noticed too late.
        """
        if not isinstance(self._state, Stopped):
            return None
        why = self._state.why
        return None if why.end == "timeout" and not ending.is_sigkill(status) else why

    def _finished(self, ended: Ending) -> Any:
        stdout, stderr = self._outputs
        return self._messages.RunFinished(
            end_reason=f"END_REASON_{ended.end.upper()}",
            execution_time_ms=self._clock.elapsed_ms(),
            truncated=self._messages.Truncated(
                stdout_bytes=stdout.truncated_bytes, stderr_bytes=stderr.truncated_bytes
            ),
        )
