"""A real worker process, spoken to over its socket like the router and the pool-manager do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from airlock_worker.linux import processes
from airlock_worker.supervisor.messages import DEFAULT_DESCRIPTORS, SERVICE, Messages
from airlock_worker.supervisor.refusals import STATUSES

WORKER_ROOT = Path(__file__).resolve().parents[1]
M = Messages(DEFAULT_DESCRIPTORS)
WORKER_ID = "w"
MIB = 1 << 20
_OPTIONS = [("grpc.max_receive_message_length", 128 * MIB), ("grpc.max_send_message_length", 128 * MIB)]


def _interpreter(version: str) -> str | None:
    if sys.version.startswith(f"{version}."):
        return sys.executable
    found = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}"))
    return str(found[-1]) if found else None


# The worker's own, and the others that stand beside it: a machine needs no more than one.
INTERPRETERS = {v: python for v in ("3.11", "3.12", "3.13") if (python := _interpreter(v))} or {"own": sys.executable}


@dataclass
class Ended:
    """All that a Run call gave."""

    end: str = ""
    stdout: bytes = b""
    stderr: bytes = b""
    result: str | None = None
    memory_updates: str | None = None
    error: str | None = None
    time_ms: int = -1
    truncated: tuple[int, int] = (-1, -1)
    questions: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    @property
    def value(self) -> Any:
        assert self.result is not None, self
        return json.loads(self.result)


def code_of(error: grpc.aio.AioRpcError) -> str:
    """Airlock's code of a refusal; the worker has to send it under the status that the code has everywhere."""
    code = str(dict(error.trailing_metadata())["airlock-code"])
    assert error.code() == STATUSES[code]
    return code


class RunCall:
    """One Run stream. `next_event` reads; `finish` reads to the end, answering questions from a list."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.ended = Ended()
        self._documents: dict[str, bytes] = {}

    async def next_event(self) -> Any:
        response = await self._call.read()
        assert response is not grpc.aio.EOF, "the stream ended without Finished"
        self._note(response)
        return response

    async def until_question(self) -> Any:
        while True:
            event = await self.next_event()
            assert event.WhichOneof("event") != "finished", self.ended
            if event.WhichOneof("event") == "llm_request":
                return event.llm_request

    async def answer(self, request_id: str, response: str) -> None:
        await self._call.write(M.RunRequest(answer=M.RunAnswer(llm_request_id=request_id, response=response)))

    async def finish(self, answers: Sequence[str] = ()) -> Ended:
        left = list(answers)
        while not self.ended.end:
            event = await self.next_event()
            if event.WhichOneof("event") == "llm_request" and left:
                await self.answer(event.llm_request.id, left.pop(0))
        await self._call.write(M.RunRequest(recorded=M.RunRecorded()))
        await self._call.done_writing()
        assert await self._call.read() is grpc.aio.EOF
        return self.ended

    async def finish_by(self, answer: Callable[[str], str]) -> Ended:
        """The same with an answer to each prompt."""
        while not self.ended.end:
            event = await self.next_event()
            if event.WhichOneof("event") == "llm_request":
                await self.answer(event.llm_request.id, answer(event.llm_request.prompt))
        return await self.finish()

    async def stop(self) -> None:
        await self._call.write(M.RunRequest(stop=M.RunStop()))

    def cancel(self) -> None:
        self._call.cancel()

    def _note(self, response: Any) -> None:
        ended = self.ended
        assert not ended.end, "an event after Finished"
        ended.events.append(response)
        match response.WhichOneof("event"):
            case "output" if response.output.is_stderr:
                ended.stderr += response.output.data
            case "output":
                ended.stdout += response.output.data
            case "llm_request":
                ended.questions.append(response.llm_request)
            case "document" if response.document.data:
                name = {1: "result", 2: "memory_updates", 3: "error"}[response.document.kind]
                self._documents[name] = self._documents.get(name, b"") + response.document.data
            case "finished":
                finished = response.finished
                for name, text in self._documents.items():
                    setattr(ended, name, text.decode())
                names = {number: name for name, number in M.enum("EndReason").items()}
                ended.end = names[finished.end_reason].removeprefix("END_REASON_").lower()
                ended.time_ms = finished.execution_time_ms
                ended.truncated = (finished.truncated.stdout_bytes, finished.truncated.stderr_bytes)


# A script that starts with it is found by `pids_named`: the pid that it knows is one of its own namespace.
def named(name: str) -> str:
    return f"import ctypes; ctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)\n"


class Worker:
    def __init__(self, process: asyncio.subprocess.Process, channel: grpc.aio.Channel, log_path: Path) -> None:
        self.process = process
        self.log_path = log_path
        self.run_dir = str(log_path.parent / "run")
        methods = {name: (request, response) for name, request, response, _, _ in M.methods()}

        def paths(name: str) -> dict[str, Any]:
            request, response = methods[name]
            return {"request_serializer": request.SerializeToString, "response_deserializer": response.FromString}

        self._provision: Any = channel.unary_unary(f"/{SERVICE}/Provision", **paths("Provision"))
        self._watch: Any = channel.unary_stream(f"/{SERVICE}/WatchStatus", **paths("WatchStatus"))
        self.run_call: Any = channel.stream_stream(f"/{SERVICE}/Run", **paths("Run"))
        self.tunnel: Any = channel.stream_stream(f"/{SERVICE}/Tunnel", **paths("Tunnel"))

    async def provision(
        self,
        secrets: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        network: bool = False,
        worker_id: str = WORKER_ID,
        secrets_version: str = "",
        **limits: float,
    ) -> None:
        all_limits = {
            "max_output_bytes": 10 * MIB,
            "max_result_bytes": 10 * MIB,
            "memory_bytes": 512 * MIB,
            "disk_bytes": 64 * MIB,
            "pids": 64,
            "cpus": 1,
            **limits,
        }
        values = [M.SecretValue(name=name, value=value) for name, value in (secrets or {}).items()]
        request = M.ProvisionRequest(
            worker_id=worker_id,
            project="test",
            secrets_version=secrets_version,
            secrets=values,
            settings=settings or {},
            limits=M.RunLimits(**all_limits),
            network=network,
        )
        await self._provision(request, wait_for_ready=True, timeout=10)

    def pids_named(self, name: str) -> list[int]:
        found = []
        for pid in processes.descendants_of(self.process.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    found.append(pid)
        return found

    def zygote(self) -> int:
        [pid] = processes.children_of(self.process.pid)
        return pid

    def template(self) -> int:
        """The parent of run children."""
        [pid] = processes.children_of(self.zygote())
        return pid

    def watch(self, worker_id: str = WORKER_ID) -> Any:
        return self._watch(M.WatchStatusRequest(worker_id=worker_id), wait_for_ready=True)

    async def until_state(self, state: str, timeout_s: float = 30) -> Any:
        async with asyncio.timeout(timeout_s):
            watch = self.watch()
            try:
                while True:
                    status = await watch.read()
                    if status.state == M.enum("WorkerState")[f"WORKER_STATE_{state}"]:
                        return status
                    assert status.state != M.enum("WorkerState")["WORKER_STATE_FAILED"], status.detail
            finally:
                watch.cancel()

    async def start(
        self,
        code: str,
        timeout_ms: int = 20_000,
        settings: Mapping[str, str] | None = None,
        memory: str = "",
        network: Any = None,
        execution_id: str = "",
        epoch: int = 1,
        secrets_version: str = "",
        llm_timeout_ms: int | None = None,
    ) -> RunCall:
        call = self.run_call(wait_for_ready=True)
        start = M.RunStart(
            worker_id=WORKER_ID,
            secrets_version=secrets_version,
            # The tunnels of the tests' egress service are for one name.
            execution_id=execution_id or ("e" if network else str(uuid.uuid4())),
            epoch=epoch,
            code=code,
            timeout_ms=timeout_ms,
            settings=settings or {},
            memory_json=memory,
            network=network,
            llm_timeout_ms=llm_timeout_ms,
        )
        await call.write(M.RunRequest(start=start))
        return RunCall(call)

    async def attach(self, execution_id: str, epoch: int = 2) -> RunCall:
        call = self.run_call(wait_for_ready=True)
        attach = M.RunAttach(worker_id=WORKER_ID, execution_id=execution_id, epoch=epoch)
        await call.write(M.RunRequest(attach=attach))
        return RunCall(call)

    async def run(self, code: str, answers: Sequence[str] = (), **options: Any) -> Ended:
        return await (await self.start(code, **options)).finish(answers)


@contextlib.asynccontextmanager
async def worker(
    *arguments: str,
    ready: bool = True,
    python: str = sys.executable,
    wrapper: Sequence[str] = (),
    worker_root: Path = WORKER_ROOT,
    **provision: Any,
) -> AsyncIterator[Worker]:
    with tempfile.TemporaryDirectory(prefix="airlock-test-", ignore_cleanup_errors=True) as directory:
        socket = f"{directory}/worker.sock"
        log_path = Path(directory) / "log"
        with log_path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *wrapper,
                sys.executable,
                # Its package is the one below `worker_root`, not the one in the working directory.
                *("-P", "-m", "airlock_worker", "--worker-id", WORKER_ID),
                *("--listen", f"unix:{socket}", "--run-dir", f"{directory}/run"),
                *("--python", python, *arguments),
                env={"PYTHONPATH": str(worker_root)},
                stdin=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            # The first attempt finds no socket yet; without this the next comes a second later.
            patience = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20)]
            options = [*_OPTIONS, *patience, ("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
                client = Worker(process, channel, log_path)
                if ready:
                    await client.until_state("READY")
                    await client.provision(**provision)
                yield client
        finally:
            if process.returncode is None:
                assert process.stdin is not None
                process.stdin.close()
                async with asyncio.timeout(10):
                    await process.wait()
