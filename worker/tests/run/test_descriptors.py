"""A worker with few file descriptors says so to the run that it cannot start, and keeps the runs that it has."""

from __future__ import annotations

import asyncio
from resource import RLIMIT_NOFILE, prlimit

from ..harness import RunCall, Worker, worker

ASK = "answer = llm.complete('how much?')\nset_result(answer)"
# Descriptors with which a worker can hold about a dozen paused runs.
FEW = 200


def _limit(worker: Worker, soft: int) -> None:
    prlimit(worker.process.pid, RLIMIT_NOFILE, (soft, prlimit(worker.process.pid, RLIMIT_NOFILE)[1]))


async def test_a_worker_opens_more_descriptors_than_an_engine_gives_a_container_at_first() -> None:
    async with worker(wrapper=("prlimit", "--nofile=128:4096")) as ready:
        assert prlimit(ready.process.pid, RLIMIT_NOFILE)[0] == 4096


async def test_a_worker_without_free_descriptors_refuses_a_run_and_keeps_those_that_it_has() -> None:
    async with worker() as ready:
        _limit(ready, FEW)
        paused: list[RunCall] = []
        refused = None
        while refused is None and len(paused) < FEW:
            call = await ready.start(ASK)
            event = await asyncio.wait_for(call.next_event(), 20)
            if event.WhichOneof("event") == "llm_request":
                paused.append(call)
            else:
                refused = await call.finish()
        assert len(paused) >= 5
        assert refused is not None
        assert refused.end == "start_failed"
        assert f"nearly all of the {FEW} files and sockets" in (refused.error or "")
        # Further ones hear the same, and nothing breaks off.
        assert [(await ready.run(ASK)).end for _ in range(5)] == ["start_failed"] * 5
        for number, call in enumerate(paused):
            await call.answer("llm_1", str(number))
            assert (await call.finish()).value == str(number)
        assert (await ready.run("set_result(1)")).value == 1


async def test_a_worker_that_gets_a_spare_without_its_descriptors_goes_on() -> None:
    async with worker() as ready:
        paused = await ready.start(ASK)
        await paused.until_question()
        # Fewer than the worker has open: the next spare's descriptors do not arrive.
        taken = await ready.start("import time\ntime.sleep(0.2)\nset_result(1)")
        _limit(ready, 10)
        await asyncio.sleep(0.5)
        _limit(ready, 1024)
        assert (await taken.finish()).end in ("completed", "start_failed")
        assert [(await ready.run("set_result(2)")).value for _ in range(5)] == [2] * 5
        await paused.answer("llm_1", "3")
        assert (await paused.finish()).value == "3"
        assert "a run child was ended" in ready.log_path.read_text()
