"""The worker's gRPC service. It runs no script: it hands each script to a run child and supervises that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc

from ..cgroups.outer_cgroup import OuterCgroup
from ..linux import descriptors
from .identity import for_callers_only
from .log import log
from .messages import SERVICE, Messages
from .refusals import refuse
from .run.attachable_run import AttachableRun
from .run.attachable_runs import AttachableRuns
from .run.ending import no_descriptors_text, no_room_text
from .run.run import Run
from .run.start import BadStart, Provision, provision_of, start_of
from .run_process import RunProcess
from .status import StatusBoard
from .tunnels.tunnels import Tunnels
from .worker_id_check import refuse_unless_for
from .zygote_link import DESCRIPTORS_OF_A_RUN, NoSpare, ZygoteLink

# Seconds to wait for a run's processes to be gone after they were killed.
_GONE_S = 5.0


class Supervisor:
    def __init__(
        self,
        messages: Messages,
        link: ZygoteLink,
        board: StatusBoard,
        *,
        worker_id: str,
        grace_s: float,
        output_dir: str,
        outer: OuterCgroup,
    ) -> None:
        """`worker_id`: id by which callers name this worker. `grace_s`: seconds that a run without a caller goes on.
        `output_dir`: where files with the scripts' output are created.
        """
        self._messages = messages
        self._worker_id = worker_id
        self._link = link
        self._board = board
        self._tunnels = Tunnels(messages, worker_id)
        self._output_dir = output_dir
        self._outer = outer
        self._held = AttachableRuns(grace_s)
        self._provision: Provision | None = None
        # The tasks that run the scripts to their ends, kept here because asyncio itself does not keep a task alive.
        self._endings: set[asyncio.Task[None]] = set()
        # Runs whose processes still exist, even if the run has reported its end.
        self._processes: dict[Run, RunProcess] = {}
        # Number of spares to keep ready; None until the probe run is over, so that no spare is made before that.
        self._spares: int | None = None

    def use_spares(self, count: int) -> None:
        self._spares = count
        self._keep_spares()

    def _keep_spares(self) -> None:
        if self._spares is not None and self._provision is not None:
            self._link.keep_spares(self._spares, self._provision.limits)

    async def provision(self, request: Any, context: Any) -> Any:
        await refuse_unless_for(self._worker_id, request.worker_id, context)
        try:
            self._provision = provision_of(request)
        except BadStart as error:
            await refuse(context, "invalid_request", str(error))
        self._keep_spares()
        log("info", "provisioned", project=request.project, secrets=len(request.secrets))
        return self._messages.ProvisionResponse()

    async def watch_status(self, request: Any, context: Any) -> None:
        await refuse_unless_for(self._worker_id, request.worker_id, context)
        watcher = self._board.watch()
        held_runs = [
            self._messages.HeldRun(
                execution_id=execution_id, paused=held.is_paused, grace_ms=round(held.grace_s * 1000)
            )
            for execution_id, held in self._held.all()
        ]
        try:
            while (status := await watcher.queue.get()) is not None:
                layers = [
                    self._messages.IsolationLayer(name=layer.name, in_force=layer.in_force, detail=layer.detail)
                    for layer in status.posture.layers
                ]
                facts = [
                    self._messages.IsolationFact(name=fact.name, values=fact.values) for fact in status.posture.facts
                ]
                packages = [
                    self._messages.InstalledPackage(name=package.name, version=package.version)
                    for package in status.posture.packages
                ]
                state = f"WORKER_STATE_{status.state.upper()}"
                response = self._messages.WatchStatusResponse(
                    state=state,
                    detail=status.detail,
                    isolation_layers=layers,
                    isolation_facts=facts,
                    installed_packages=packages,
                    held_runs=held_runs,
                )
                held_runs = []
                await context.write(response)
                watcher.queue.task_done()
        finally:
            self._board.leave(watcher)

    async def run(self, request_iterator: Any, context: Any) -> None:
        held, epoch = await self._opened(context)
        if held is not None:
            await held.serve(context, epoch)

    async def _opened(self, context: Any) -> tuple[AttachableRun | None, int]:
        """The run that a Run call starts or attaches to, and its caller's epoch. None: the run was not started.

        This is a method of its own, so that the first message, which may be megabytes, is freed while the call goes on.
        """
        message = await context.read()
        first = None if message is grpc.aio.EOF else message.WhichOneof("message")
        if first == "start":
            await refuse_unless_for(self._worker_id, message.start.worker_id, context)
            return await self._begin(message.start, context), message.start.epoch
        if first == "attach":
            await refuse_unless_for(self._worker_id, message.attach.worker_id, context)
            return await self._found(message.attach.execution_id, context), message.attach.epoch
        await refuse(context, "invalid_request", "The first message of a Run must be its start or an attach.")

    async def _found(self, execution_id: str, context: Any) -> AttachableRun:
        held = await self._held.find(execution_id)
        if held is None and self._held.has_had(execution_id):
            await refuse(context, "run_over", "The run is over, because no router attached to it in time.")
        if held is None:
            await refuse(context, "run_unknown", "The run has never been on this worker.")
        return held

    async def _begin(self, message: Any, context: Any) -> AttachableRun | None:
        """Starts a run. None: it could not be started, and the caller has received the reason."""
        if self._board.current.state in ("starting", "failed"):
            await refuse(context, "worker_lost", f"The worker takes no run, because it is {self._board.current.state}.")
        if self._provision is None:
            await refuse(context, "worker_lost", "The worker takes no run, because it has not been provisioned.")
        if message.secrets_version not in ("", self._provision.version):
            # The sanitizer searches only for the secret values of the version that the call names, so a run
            # with other values is refused.
            await refuse(context, "worker_lost", "The worker now has other secret values than the lease named.")
        try:
            start = start_of(message, self._provision)
        except BadStart as error:
            await refuse(context, "invalid_request", str(error))
        if not self._held.reserve(start.execution_id):
            await refuse(context, "run_exists", "The run is or was on this worker.")
        counted = self._outer.counts()
        try:
            await self._make_room()
            if not descriptors.are_left(DESCRIPTORS_OF_A_RUN):
                raise NoSpare(no_descriptors_text(descriptors.limit()))
            process = await self._link.take()
        except NoSpare as error:
            self._held.refuse(start.execution_id)
            refused = (self._outer.counts() - counted).refused
            why = no_room_text(self._outer.most_processes()) if refused else f"{error}."
            await self._not_started(context, why)
            return None
        except asyncio.CancelledError:
            self._held.release(start.execution_id)
            raise
        run = Run(process, start, self._messages, self._board, self._tunnels, self._output_dir, self._outer)
        self._own(self._conduct(run, process))
        return self._held.hold(start.execution_id, run)

    async def _conduct(self, run: Run, process: RunProcess) -> None:
        """Manages the run to its end in a task of its own, because the run must go on when the router's call breaks."""
        self._processes[run] = process
        try:
            await run.conduct()
        except Exception as error:
            log("error", "a run broke off", error=repr(error))
            raise
        finally:
            if not run.record.finished:
                run.record.break_off()
            _, pending = await asyncio.wait({process.exited}, timeout=_GONE_S)
            del self._processes[run]
            if pending:
                self._board.change("retiring", "the processes of a run could not be ended")
            await process.release()

    async def _make_room(self) -> None:
        """Waits until the processes of runs that have reported their end are gone, because their memory is needed for
        the next run; 5 s at most.
        """
        going = {process.exited for run, process in self._processes.items() if run.record.finished}
        if going:
            await asyncio.wait(going, timeout=_GONE_S)

    async def _not_started(self, context: Any, why: str) -> None:
        error = self._messages.RunDocument(kind="KIND_ERROR", data=f"The script was not started: {why}".encode())
        await context.write(self._messages.RunResponse(document=error))
        finished = self._messages.RunFinished(
            end_reason="END_REASON_START_FAILED", truncated=self._messages.Truncated()
        )
        await context.write(self._messages.RunResponse(finished=finished))
        # A run that was not started has no record to read from. Like every Run call, this one ends when its caller ends
        # it.
        while await context.read() is not grpc.aio.EOF:
            pass

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def runs_ended(self, timeout_s: float) -> None:
        """Waits until every run has sent its end to the router that follows it, at most `timeout_s` seconds."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (self._endings or self._held.any_followed()) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)

    def handlers(self, *, check_identity: bool = False) -> grpc.GenericRpcHandler:
        behaviours: dict[str, Callable[[Any, Any], Any]] = {
            "Provision": self.provision,
            "WatchStatus": self.watch_status,
            "Run": self.run,
            "Tunnel": self._tunnels.serve,
        }
        if check_identity:
            behaviours = {name: for_callers_only(name, behaviour) for name, behaviour in behaviours.items()}
        makers = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }
        handlers = {
            name: makers[streams](behaviours[name], request.FromString, response.SerializeToString)
            for name, request, response, *shape in self._messages.methods()
            for streams in [(shape[0], shape[1])]
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)
