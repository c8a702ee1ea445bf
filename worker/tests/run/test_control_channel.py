"""What a child may say, and when: "nothing ran" only before its script can have begun."""

from __future__ import annotations

import json
import os

import pytest

from airlock_worker.supervisor.run import ending
from airlock_worker.supervisor.run.control_channel import ControlChannel
from airlock_worker.wire import frames
from airlock_worker.wire.limits import Limits

LIMITS = Limits(max_output_bytes=1000, max_result_bytes=1000, memory_bytes=1, disk_bytes=1, pids=1, cpus=1)


def done(end: str) -> bytes:
    return frames.pack(frames.DONE, json.dumps({"end": end, "error": "why"}).encode())


def heard(*parts: bytes, begun: bool = True) -> ControlChannel:
    talk = ControlChannel(LIMITS, lambda: begun)
    read, write = os.pipe()
    os.write(write, b"".join(parts))
    os.close(write)
    talk.read_all(read)
    os.close(read)
    return talk


def test_before_the_script_begins_only_a_failed_start_is_believed_and_a_request_too_large() -> None:
    for end in ending.REPORTABLE_BEFORE:
        talk = heard(done(end), begun=False)
        assert talk.ending == ending.Ending(end, "why") and not talk.violated
    for end in ending.REPORTABLE - ending.REPORTABLE_BEFORE:
        assert heard(done(end), begun=False).violated


def test_once_it_has_begun_a_failed_start_is_not_believed() -> None:
    assert heard(done("start_failed")).violated
    for end in ending.REPORTABLE:
        talk = heard(done(end))
        assert talk.ending is not None and talk.ending.end == end and not talk.violated


@pytest.mark.parametrize("kind", [frames.RESULT, frames.MEMORY, frames.LLM_REQUEST])
def test_nothing_else_comes_before_the_beginning(kind: bytes) -> None:
    assert heard(frames.pack(kind, b"{}"), begun=False).violated


def test_a_script_that_ends_does_not_wait_for_the_question_of_a_thread() -> None:
    question = frames.pack(frames.LLM_REQUEST, b'{"prompt": "hi", "model": "m"}')
    result = frames.pack(frames.RESULT, b"1")
    talk = heard(question, result, done("completed"))
    assert talk.llm_request is None and not talk.violated
    assert (talk.ending, talk.result) == (ending.Ending("completed", ""), b"1")
    assert heard(question, question).violated


def test_a_child_that_died_before_the_beginning_was_not_started() -> None:
    ended = ending.of_no_beginning(9)
    assert ended.end == "start_failed" and "SIGKILL" in ended.error
