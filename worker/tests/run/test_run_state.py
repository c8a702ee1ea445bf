"""The states of a run and of its llm requests, arrow by arrow."""

from __future__ import annotations

import asyncio

import pytest

from airlock_worker.supervisor.run import llm_requests, run_state
from airlock_worker.supervisor.run.ending import Ending
from airlock_worker.supervisor.run.llm_requests import NONE_YET, Idle
from airlock_worker.supervisor.run.run_state import RUNNING, Done, Stopped

CROWD = Ending("killed", "too many processes")
TIMEOUT = Ending("timeout", "too long")


def timer() -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(1000, lambda: None)


async def test_a_running_run_is_done_when_its_child_has_reported_its_end() -> None:
    kill = timer()
    assert run_state.reported(RUNNING, lambda: kill) == Done(kill)


async def test_a_run_that_is_done_stays_done_and_keeps_its_timer() -> None:
    done = Done(timer())
    assert run_state.reported(done, lambda: pytest.fail("a second timer was started")) is done
    assert run_state.stopped(done, CROWD) is done


async def test_a_running_run_is_stopped_for_the_first_reason() -> None:
    stopped = run_state.stopped(RUNNING, CROWD)
    assert stopped == Stopped(CROWD)
    assert run_state.stopped(stopped, TIMEOUT) is stopped


async def test_a_stopped_run_stays_stopped_when_its_child_reports_its_end() -> None:
    stopped = Stopped(TIMEOUT)
    assert run_state.reported(stopped, lambda: pytest.fail("a timer was started")) is stopped


async def test_an_idle_run_opens_its_llm_requests_under_numbers_in_order() -> None:
    first = llm_requests.opened(NONE_YET)
    assert (first.number, first.id, first.response.done()) == (1, "llm_1", False)
    assert llm_requests.opened(Idle(7)).id == "llm_8"


async def test_a_response_closes_the_open_llm_request() -> None:
    asked = llm_requests.opened(NONE_YET)
    assert llm_requests.answered(asked, "llm_1", "yes") == Idle(1)
    assert asked.response.result() == "yes"


async def test_a_response_to_an_llm_request_that_is_not_open_is_refused() -> None:
    assert llm_requests.answered(NONE_YET, "llm_1", "yes") == "no llm request is open"
    # No llm request has the number 0.
    assert llm_requests.answered(NONE_YET, "llm_0", "yes") == "no llm request is open"
    asked = llm_requests.opened(Idle(2))
    for other in ("llm_1", "llm_4", ""):
        assert llm_requests.answered(asked, other, "yes") == "the open llm request is llm_3; respond to that one"
    assert not asked.response.done()


async def test_a_second_response_to_the_same_llm_request_is_ignored() -> None:
    idle = Idle(1)
    assert llm_requests.answered(idle, "llm_1", "later") is idle
    asked = llm_requests.opened(idle)
    assert llm_requests.answered(asked, "llm_1", "later") is asked
    assert not asked.response.done()


async def test_a_run_that_ends_gives_up_its_open_llm_request_and_ignores_a_late_response() -> None:
    asked = llm_requests.opened(Idle(1))
    ended = llm_requests.given_up(asked)
    assert ended == Idle(2)
    assert llm_requests.answered(ended, "llm_2", "late") is ended
    assert not asked.response.done()


def test_a_run_that_ends_without_an_open_llm_request_stays_as_it_is() -> None:
    assert llm_requests.given_up(Idle(3)) == Idle(3)
