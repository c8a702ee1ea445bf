"""The limit of stdout and stderr cuts between characters, and counts every byte that it cuts."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock_worker.supervisor.run.characters import begun_bytes
from airlock_worker.supervisor.run.output import OutputPipe
from airlock_worker.wire.error_text import MAX_ERROR_BYTES, cut

from ..harness import worker

CHARACTERS = "aé€😀"
LIMIT = 10_000


def _through_pipe(pieces: list[bytes], limit: int) -> tuple[bytes, int]:
    """What is kept of output that comes in these pieces, and how much is said to be cut."""
    read, write = os.pipe()
    os.set_blocking(read, False)

    async def follow() -> tuple[bytes, int]:
        pipe = OutputPipe(read, False, limit, lambda: None)
        kept = b""
        for piece in pieces:
            os.write(write, piece)
            kept += pipe.drain()
        os.close(write)
        kept += pipe.drain()
        assert pipe.is_at_end
        kept += pipe.end(is_killed=False)
        return kept, pipe.truncated_bytes

    try:
        return asyncio.run(follow())
    finally:
        os.close(read)


@given(st.lists(st.text(CHARACTERS, max_size=6).map(str.encode)), st.integers(1, 40), st.integers(1, 5))
def test_whole_characters_are_kept_however_they_come(texts: list[bytes], limit: int, step: int) -> None:
    data = b"".join(texts)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    kept, truncated = _through_pipe(pieces, limit)
    assert kept == data[:limit].decode(errors="ignore").encode()
    assert len(kept) + truncated == len(data)


@given(st.lists(st.binary(max_size=6)), st.integers(1, 40))
def test_bytes_that_are_no_text_are_counted_as_exactly(pieces: list[bytes], limit: int) -> None:
    data = b"".join(pieces)
    kept, truncated = _through_pipe([piece for piece in pieces if piece], limit)
    assert data.startswith(kept) and len(kept) + truncated == len(data)
    assert truncated == 0 if len(data) <= limit else limit - 3 <= len(kept) <= limit


@pytest.mark.parametrize(
    ("data", "begun"),
    [
        *((b"", 0), (b"a", 0), ("€".encode(), 0), (b"\x80\x80\x80\x80", 0), (b"\xff", 0)),
        *((b"a\xc3", 1), (b"\xe2", 1), (b"\xe2\x82", 2), (b"\xf0\x9f\x98", 3), (b"\xf0", 1)),
    ],
)
def test_the_beginning_of_a_character_is_known(data: bytes, begun: int) -> None:
    assert begun_bytes(data) == begun


@pytest.mark.parametrize("offset", range(4))
async def test_a_script_that_prints_emoji_beyond_the_limit_loses_whole_ones(offset: int) -> None:
    text = "x" * offset + "😀" * 5_000
    async with worker(max_output_bytes=LIMIT) as target:
        ended = await target.run(f"import sys\nfor out in (sys.stdout, sys.stderr): out.write({text!r})")
    assert ended.stdout.decode() == ended.stderr.decode() == text.encode()[:LIMIT].decode(errors="ignore")
    cut_bytes = len(text.encode()) - len(ended.stdout)
    assert ended.truncated == (cut_bytes, cut_bytes)


HALF = "import os, time\nos.write(1, b'ok ' + '😀'.encode()[:3])\n"


@pytest.mark.parametrize(
    ("rest", "kept", "truncated"),
    [
        ("time.sleep(20)", b"ok ", (3, 0)),
        ("os.kill(os.getpid(), 9)", b"ok ", (3, 0)),
        ("os.write(1, '😀'.encode()[3:])", "ok 😀".encode(), (0, 0)),
        # As without Airlock: that is what it wrote.
        ("pass", b"ok \xf0\x9f\x98", (0, 0)),
        ("1/0", b"ok \xf0\x9f\x98", (0, 0)),
    ],
)
async def test_a_script_that_is_killed_in_a_character_leaves_no_half_of_it(
    rest: str, kept: bytes, truncated: tuple[int, int]
) -> None:
    async with worker() as target:
        ended = await target.run(HALF + rest, timeout_ms=1_000)
    assert (ended.stdout, ended.truncated) == (kept, truncated)


@given(st.text(CHARACTERS, min_size=1, max_size=8), st.integers(0, 3))
def test_a_long_error_says_exactly_how_much_of_it_is_cut(unit: str, shift: int) -> None:
    text = "y" * shift + unit * (MAX_ERROR_BYTES // len(unit.encode()) + 100)
    short = cut([text])
    assert len(short.encode()) <= MAX_ERROR_BYTES
    head, _, rest = short.partition("\n… ")
    count, _, tail = rest.partition(" bytes cut …\n")
    assert text.startswith(head) and text.endswith(tail)
    assert len(head.encode()) + int(count) + len(tail.encode()) == len(text.encode())
