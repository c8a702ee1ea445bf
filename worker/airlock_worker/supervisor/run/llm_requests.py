"""The llm requests of a run, of which at most one is open:

idle → open    the script asks
open → idle    a response is accepted, or the run ends without one
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Idle:
    """The script waits for no response."""

    # Number of the llm request that was closed last; 0 before the first one.
    closed: int


@dataclass(frozen=True)
class Open:
    """The script waits for the response to an llm request."""

    # Number of the llm request among those of the run, from 1.
    number: int
    # Resolves to the agent's response.
    response: asyncio.Future[str]

    @property
    def id(self) -> str:
        return _id_of(self.number)


LlmRequests = Idle | Open
NONE_YET = Idle(0)


def opened(requests: LlmRequests) -> Open:
    """The state after the script made its next llm request."""
    assert isinstance(requests, Idle)
    return Open(requests.closed + 1, asyncio.get_running_loop().create_future())


def answered(requests: LlmRequests, request_id: str, response: str) -> LlmRequests | str:
    """The state after a response to `request_id` came, or what is wrong with that response. A second response to the
    same llm request is ignored, because after a takeover both routers may send one.
    """
    closed = requests.closed if isinstance(requests, Idle) else requests.number - 1
    if closed > 0 and request_id == _id_of(closed):
        return requests
    if isinstance(requests, Idle):
        return "no llm request is open"
    if request_id != requests.id:
        return f"the open llm request is {requests.id}; respond to that one"
    requests.response.set_result(response)
    return Idle(requests.number)


def given_up(requests: LlmRequests) -> Idle:
    """The state after the run ended. A response that comes later is then ignored, not refused."""
    return requests if isinstance(requests, Idle) else Idle(requests.number)


def _id_of(number: int) -> str:
    return f"llm_{number}"
