"""How far a run has come, as a state:

running → done       the child has reported its end
running → stopped    the supervisor has killed the script, for a reason

Done and stopped are final, so the first of the two decides which ending the run gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .ending import Ending


@dataclass(frozen=True)
class Running:
    pass


@dataclass(frozen=True)
class Done:
    # The timer that kills the processes of the run that still exist two seconds after the child reported its end.
    kill: asyncio.TimerHandle


@dataclass(frozen=True)
class Stopped:
    why: Ending


RunState = Running | Done | Stopped
RUNNING = Running()


def reported(state: RunState, kill_later: Callable[[], asyncio.TimerHandle]) -> RunState:
    """The state after the child reported its end. `kill_later` starts the timer that kills what is left of the run."""
    return Done(kill_later()) if isinstance(state, Running) else state


def stopped(state: RunState, why: Ending) -> RunState:
    """The state after the supervisor killed the script because of `why`."""
    return Stopped(why) if isinstance(state, Running) else state
