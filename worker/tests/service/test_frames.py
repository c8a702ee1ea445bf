"""Frames survive any cut of the stream; what is no frame is noticed as early as it can be."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock_worker.wire import frames
from airlock_worker.wire.frames import FrameReader, FrameTooLarge, ProtocolViolation

LIMITS = {frames.RESULT: 100, frames.DONE: 50}


@given(st.lists(st.tuples(st.sampled_from([frames.RESULT, frames.DONE]), st.binary(max_size=50))), st.data())
def test_any_cut_of_the_stream_gives_the_same_frames(sent: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    stream = b"".join(frames.pack(kind, payload) for kind, payload in sent)
    reader = FrameReader(LIMITS)
    received = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        received += list(reader.feed(stream[:size]))
        stream = stream[size:]
    assert received == sent
    assert not reader.inside_a_frame


def test_an_unknown_kind_is_a_violation_before_its_payload_comes() -> None:
    with pytest.raises(ProtocolViolation):
        list(FrameReader(LIMITS).feed(b"X\x00\x00\x00\xff"))


def test_a_length_over_the_limit_is_refused_before_its_payload_comes() -> None:
    with pytest.raises(FrameTooLarge) as caught:
        list(FrameReader(LIMITS).feed(frames.RESULT + b"\x00\x00\x00\x65"))
    assert (caught.value.size, caught.value.limit) == (101, 100)


def test_blocking_ends_speak_the_same_language() -> None:
    read, write = os.pipe()
    frames.send(write, (frames.RESULT, b"x" * 1000), (frames.DONE, b""))
    os.close(write)
    assert frames.receive(read) == (frames.RESULT, b"x" * 1000)
    assert frames.receive(read) == (frames.DONE, b"")
    assert frames.receive(read) is None
    os.close(read)
