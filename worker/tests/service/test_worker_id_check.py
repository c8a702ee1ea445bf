"""A worker takes no call that is for another one: its address may have been that one's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from ..harness import M, Worker, code_of, worker


async def _run(shared: Worker, first: Any) -> None:
    call = shared.run_call()
    await call.write(first)
    await call.read()


async def _tunnel(shared: Worker, worker_id: str) -> None:
    call = shared.tunnel(wait_for_ready=True)
    await call.write(M.TunnelRequest(open=M.TunnelOpen(worker_id=worker_id, execution_id="another's")))
    await call.read()


CALLS: dict[str, Callable[[Worker, str], Awaitable[None]]] = {
    "a provision": lambda shared, worker_id: shared.provision(worker_id=worker_id),
    "a watch": lambda shared, worker_id: shared.watch(worker_id).read(),
    "a start": lambda shared, worker_id: _run(
        shared,
        M.RunRequest(start=M.RunStart(worker_id=worker_id, execution_id="another's", code="pass", timeout_ms=1_000)),
    ),
    "an attach": lambda shared, worker_id: _run(
        shared, M.RunRequest(attach=M.RunAttach(worker_id=worker_id, execution_id="another's"))
    ),
    "a tunnel": _tunnel,
}


@pytest.mark.parametrize("worker_id", ["another", ""])
@pytest.mark.parametrize("kind", CALLS)
async def test_a_call_for_another_worker_is_refused(shared: Worker, kind: str, worker_id: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await CALLS[kind](shared, worker_id)
    assert code_of(refused.value) == "worker_lost"


async def test_a_start_that_was_for_another_worker_was_never_here(shared: Worker) -> None:
    for call in CALLS.values():
        with pytest.raises(grpc.aio.AioRpcError):
            await call(shared, "another")
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await (await shared.attach("another's")).next_event()
    assert code_of(unknown.value) == "run_unknown"


async def test_a_run_is_given_the_values_that_its_caller_named_or_does_not_start() -> None:
    """The sanitizer looks for the values of one version: a run that had others would show them."""
    async with worker(secrets={"KEY": "first-value"}, secrets_version="v1") as own:
        assert (await own.run("set_result(settings.get('KEY'))", secrets_version="v1")).value == "first-value"
        early = await own.start("set_result(llm.complete('?') + settings.get('KEY'))", secrets_version="v1")
        await own.provision(secrets={"KEY": "second-value"}, secrets_version="v2")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await (await own.start("pass", secrets_version="v1")).next_event()
        assert code_of(refused.value) == "worker_lost"
        assert (await early.finish(["has "])).value == "has first-value"
        assert (await own.run("set_result(settings.get('KEY'))", secrets_version="v2")).value == "second-value"
