"""What a run printed is kept until its outcome is recorded, and not in the supervisor's memory."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock_worker.supervisor.run.kept_output import KeptOutput

from ..harness import MIB, RunCall, Worker, worker


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.one_of(st.integers(0, 3 * MIB), st.just("pause")), max_size=6),
    st.lists(st.tuples(st.integers(0, 8 * MIB), st.integers(1, MIB)), max_size=5),
)
def test_every_byte_is_found_at_its_place(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str], reads: list[tuple[int, int]]
) -> None:
    kept, said = KeptOutput(str(tmp_path_factory.getbasetemp())), b""
    for step in steps:
        if isinstance(step, int):
            piece = os.urandom(step)
            kept.append(piece)
            said += piece
        else:
            kept.pause()
    for at, size in reads:
        found = kept.read(at, size)
        assert found == said[at : at + len(found)] and (found or at >= len(said))
    told = b""
    while piece := kept.read(len(told), MIB):
        told += piece
    assert told == said
    kept.discard()


def test_the_file_has_no_name_and_holds_nothing_readable(tmp_path: Path) -> None:
    kept = KeptOutput(str(tmp_path))
    kept.append(b"a secret of the project\n" * 10_000)
    kept.pause()
    assert list(tmp_path.iterdir()) == []
    [fd] = [fd for fd in os.listdir("/proc/self/fd") if str(tmp_path) in _target(fd)]
    stored = Path(f"/proc/self/fd/{fd}").read_bytes()
    assert len(stored) == 240_000 and b"secret" not in stored
    # Nor does it repeat what the text repeats.
    assert len({stored[at : at + 24] for at in range(0, len(stored), 24)}) == 10_000
    kept.discard()
    assert not [fd for fd in os.listdir("/proc/self/fd") if str(tmp_path) in _target(fd)]


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


@pytest.mark.parametrize("directory", ["/nonexistent", "/proc/self"])
def test_without_a_file_all_stays_in_memory(directory: str) -> None:
    kept = KeptOutput(directory)
    kept.append(b"x" * 3 * MIB)
    kept.pause()
    assert kept.read(0, 4 * MIB) == b"x" * 3 * MIB


def _resident_bytes(pid: int) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


NOISY = """
import sys
for stream in (sys.stdout, sys.stderr):
    for n in range(10): stream.write(("%d" % n) * (1 << 20))
llm.complete("go on?")
print("on", end="")
"""


async def _printed(target: Worker) -> RunCall:
    call = await target.start(NOISY, timeout_ms=60_000)
    await call.until_question()
    return call


async def test_paused_runs_that_printed_much_cost_the_supervisor_little_memory() -> None:
    async with worker(max_output_bytes=11 * MIB) as target:
        # The first ones bring what gRPC and the allocator keep for good.
        calls = [await _printed(target) for _ in range(8)]
        before = _resident_bytes(target.process.pid)
        calls += [await _printed(target) for _ in range(15)]
        grown = _resident_bytes(target.process.pid) - before
        print(f"grown by {grown / MIB:.1f} MB")
        # Less than a single one of them printed: the allocator's memory goes up and down by 8 MB in steps.
        assert grown < 20 * MIB
        for call in calls:
            question = call.ended.questions[0]
            await call.answer(question.id, "yes")
        expected = b"".join(b"%d" % n * MIB for n in range(10))
        for ended in await asyncio.gather(*(call.finish() for call in calls)):
            assert ended.end == "completed"
            assert (ended.stdout, ended.stderr) == (expected + b"on", expected)


async def test_what_a_paused_run_printed_is_told_again(shared: Worker) -> None:
    call = await shared.start(NOISY, execution_id="noisy", timeout_ms=60_000)
    question = await call.until_question()
    call.cancel()
    again = await shared.attach("noisy")
    assert (await again.until_question()).id == question.id
    assert again.ended.stdout == call.ended.stdout and len(again.ended.stderr) == 10 * MIB
    await again.answer(question.id, "yes")
    assert (await again.finish()).end == "completed"
