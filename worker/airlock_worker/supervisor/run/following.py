"""Which Run call follows a run, and whether another one may come, as two states.

unfollowed → followed    the first call
followed → followed      another call takes over, and the present one is ended
followed → left          the call is lost, and the run waits for another one
left → followed          another call came in time

going → recorded         the router has recorded the ending, and asks for nothing more
going, recorded → stopped
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Unfollowed:
    """No call has followed the run yet."""


@dataclass(frozen=True)
class Followed:
    # Resolves when another call takes over. The call that follows the run now is then ended with `run_superseded`.
    superseded: asyncio.Future[None]


@dataclass(frozen=True)
class Left:
    """The call that followed the run is lost, and no other one has come yet."""

    # When the call was lost, in seconds of the event loop's clock.
    since_s: float
    # Timer that stops the run at the end of its grace period. It is cancelled when another call comes.
    give_up: asyncio.TimerHandle


Following = Unfollowed | Followed | Left
Outlook = Literal["going", "recorded", "stopped"]
UNFOLLOWED = Unfollowed()


def taken_over(following: Following) -> Followed:
    """The state after a new call came. The call that followed the run until now learns that it is superseded."""
    if isinstance(following, Followed):
        following.superseded.set_result(None)
    if isinstance(following, Left):
        following.give_up.cancel()
    return Followed(asyncio.get_running_loop().create_future())


def recorded(outlook: Outlook) -> Outlook:
    """The state after the router has stored the run's ending. A run that was stopped stays stopped."""
    return "recorded" if outlook == "going" else outlook
