"""What the supervisor holds of a run prints no value and nothing of the request."""

from __future__ import annotations

import json
import traceback

import pytest

from airlock_worker.supervisor.run.start import Provision, Start, provision_of, start_of
from airlock_worker.wire import frames

from ..harness import M

VALUE = "value-of-a-secret"


def _both() -> tuple[Provision, Start]:
    limits = M.RunLimits(max_output_bytes=1, max_result_bytes=1, memory_bytes=1, disk_bytes=1, pids=1, cpus=1)
    provision = provision_of(
        M.ProvisionRequest(
            project="p",
            secrets_version="v1",
            secrets=[M.SecretValue(name="KEY", value=VALUE)],
            limits=limits,
            network=True,
        )
    )
    request = M.RunStart(
        execution_id="e",
        code="print('in the code')",
        timeout_ms=1,
        settings={"SETTING": "in a setting"},
        memory_json='{"c": {"k": "in the memory"}}',
        network=M.RunNetwork(username="user", password="in the network"),
    )
    return provision, start_of(request, provision)


def test_what_is_held_of_a_run_prints_without_its_values() -> None:
    for held in _both():
        text = f"{held} {held!r} {held.secrets} {held.secrets[0]!s:>40}"
        assert "[secret KEY]" in text
        assert VALUE not in text
        assert "in the" not in text and "in a" not in text


def test_a_value_is_in_no_json_that_nobody_asked_for() -> None:
    _, start = _both()
    with pytest.raises(TypeError) as refused:
        json.dumps(start.secrets)
    assert VALUE not in "".join(traceback.format_exception(refused.value))


def test_the_child_is_given_the_values() -> None:
    _, start = _both()
    reader = frames.FrameReader({frames.GIVEN: 1000, frames.START: 1000})
    (given, given_text), (kind, text) = reader.feed(start.frames())
    assert (given, json.loads(given_text)["secrets"]) == (frames.GIVEN, {"KEY": VALUE})
    assert kind == frames.START and VALUE not in text.decode()
