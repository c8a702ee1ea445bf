"""What a child may say, and when: "nothing ran" only before its script can have begun."""

from __future__ import annotations

import json
import os

import pytest

from airlock_worker import frames, verdict
from airlock_worker.conversation import Conversation
from airlock_worker.room import Limits

LIMITS = Limits(max_output_bytes=1000, max_result_bytes=1000, memory_bytes=1, disk_bytes=1, pids=1, cpus=1)
BEGUN = frames.pack(frames.BEGUN, b"")


def done(end: str) -> bytes:
    return frames.pack(frames.DONE, json.dumps({"end": end, "error": "why"}).encode())


def heard(*parts: bytes) -> Conversation:
    talk = Conversation(LIMITS)
    read, write = os.pipe()
    os.write(write, b"".join(parts))
    os.close(write)
    talk.read_all(read)
    os.close(read)
    return talk


def test_before_the_script_begins_only_a_failed_start_is_believed_and_a_request_too_large() -> None:
    for end in verdict.CLAIMABLE_BEFORE:
        talk = heard(done(end))
        assert talk.verdict == verdict.Verdict(end, "why") and not talk.violated
    for end in verdict.CLAIMABLE - verdict.CLAIMABLE_BEFORE:
        assert heard(done(end)).violated


def test_once_it_has_begun_a_failed_start_is_not_believed() -> None:
    assert heard(BEGUN, done("start_failed")).violated
    for end in verdict.CLAIMABLE:
        talk = heard(BEGUN, done(end))
        assert talk.verdict is not None and talk.verdict.end == end and not talk.violated


@pytest.mark.parametrize("kind", [frames.RESULT, frames.MEMORY, frames.QUESTION])
def test_nothing_else_comes_before_the_beginning_and_that_comes_once(kind: bytes) -> None:
    assert heard(frames.pack(kind, b"{}")).violated
    assert heard(BEGUN, BEGUN).violated


def test_a_child_that_died_before_the_beginning_was_not_started() -> None:
    ended = verdict.of_no_beginning(9)
    assert ended.end == "start_failed" and "SIGKILL" in ended.error
