"""The states of a run's callers, arrow by arrow."""

from __future__ import annotations

import asyncio

from airlock_worker.supervisor.run import following
from airlock_worker.supervisor.run.following import UNFOLLOWED, Left


async def test_the_first_call_follows_the_run() -> None:
    assert not following.taken_over(UNFOLLOWED).superseded.done()


async def test_another_call_supersedes_the_present_one() -> None:
    first = following.taken_over(UNFOLLOWED)
    second = following.taken_over(first)
    assert (first.superseded.done(), second.superseded.done()) == (True, False)


async def test_a_call_that_comes_in_time_ends_the_timer_of_a_run_that_was_left() -> None:
    loop = asyncio.get_running_loop()
    left = Left(loop.time(), loop.call_later(1000, lambda: None))
    assert not following.taken_over(left).superseded.done()
    assert left.give_up.cancelled()


def test_a_run_whose_ending_is_recorded_is_not_given_up_and_a_stopped_run_stays_stopped() -> None:
    assert following.recorded("going") == "recorded"
    assert following.recorded("recorded") == "recorded"
    assert following.recorded("stopped") == "stopped"
