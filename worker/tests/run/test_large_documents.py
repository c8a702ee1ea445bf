"""While a worker checks large documents of a run that has ended, its caller hears that, and may end the check."""

from __future__ import annotations

import os
import time
from typing import Any

from ..harness import RunCall, Worker, worker

# JSON whose check takes about a second per MB, because each of its containers is looked at by itself.
NESTED = """
unit = b'{"\\\\n":[' * 95 + b'1' + b']}' * 95 + b','
text = b'[' + unit * (MEGABYTES * (1 << 20) // len(unit)) + b'1]'
import os, struct
def send(kind, data):
    rest = memoryview(kind + struct.pack('>I', len(data)) + data)
    while rest: rest = rest[os.write(3, rest):]
send(b'R', text)
send(b'D', b'{"end":"completed","error":""}')
os._exit(0)
"""


def _is_sign(event: Any) -> bool:
    return event.WhichOneof("event") == "document" and not event.document.data


async def _first_sign(call: RunCall) -> None:
    while not _is_sign(await call.next_event()):
        pass


async def test_the_caller_hears_every_second_that_a_large_result_is_still_checked(shared: Worker) -> None:
    call = await shared.start(NESTED.replace("MEGABYTES", "3"), timeout_ms=1_000)
    await _first_sign(call)
    began = time.monotonic()
    ended = await call.finish()
    took_s = time.monotonic() - began
    signs = sum(map(_is_sign, ended.events))
    assert ended.end == "completed"
    assert ended.time_ms <= 1_000
    assert signs >= took_s / 2, (signs, took_s)


async def test_the_check_of_a_large_result_ends_when_the_run_is_stopped(shared: Worker) -> None:
    call = await shared.start(NESTED.replace("MEGABYTES", "9"))
    await _first_sign(call)
    began = time.monotonic()
    await call.stop()
    ended = await call.finish()
    assert (ended.end, ended.result) == ("killed", None)
    assert time.monotonic() - began < 2


async def test_a_small_result_is_sent_without_a_sign(shared: Worker) -> None:
    ended = await shared.run("set_result({'a': [{'b': [1]}] * 50})")
    assert ended.end == "completed"
    assert not any(map(_is_sign, ended.events))


async def test_a_large_result_needs_no_thread_that_the_kernel_could_refuse() -> None:
    async with worker() as fresh:
        assert (await fresh.run("set_result(1)")).end == "completed"
        tasks = f"/proc/{fresh.process.pid}/task"
        before = set(os.listdir(tasks))
        assert (await fresh.run("set_result('x' * 200_000)")).end == "completed"
        assert set(os.listdir(tasks)) <= before


async def test_the_caller_hears_that_a_run_was_killed_before_its_processes_are_gone(shared: Worker) -> None:
    ended = await shared.run("while True: pass", timeout_ms=300)
    assert ended.end == "timeout"
    assert any(map(_is_sign, ended.events))
