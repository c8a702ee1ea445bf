"""The worker's state, and the WatchStatus calls of the pool-manager that are informed of each change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Literal

State = Literal["starting", "ready", "retiring", "failed"]

# Seconds to wait for watchers to read a change: a watcher that does not read must not delay the end of a run.
_TELL_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Layer:
    name: str
    in_force: bool
    detail: str


@dataclass(frozen=True)
class Fact:
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    name: str
    version: str


@dataclass(frozen=True)
class Posture:
    """Results of the probe run: whether each layer of the sandbox is in force, further facts, and the packages that
    scripts can import.
    """

    layers: tuple[Layer, ...] = ()
    facts: tuple[Fact, ...] = ()
    packages: tuple[Package, ...] = ()
    # Names of the layers that the probe run could enter and found in force.
    entered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    state: State
    detail: str = ""
    posture: Posture = Posture()


@dataclass(eq=False)
class Watcher:
    """A WatchStatus call. `queue`: changes that were not yet sent; None in it means the end."""

    queue: asyncio.Queue[Status | None] = field(default_factory=asyncio.Queue)


class StatusBoard:
    """Holds the current status. `retiring` never goes back to `ready`, and `failed` is final."""

    _ORDER: tuple[State, ...] = ("starting", "ready", "retiring", "failed")

    def __init__(self) -> None:
        self.current = Status("starting")
        self._watchers: set[Watcher] = set()

    def watch(self) -> Watcher:
        watcher = Watcher()
        watcher.queue.put_nowait(self.current)
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        while not watcher.queue.empty():
            watcher.queue.get_nowait()
            watcher.queue.task_done()

    def change(self, state: State, detail: str = "", posture: Posture | None = None) -> None:
        if self._ORDER.index(state) <= self._ORDER.index(self.current.state):
            return
        self.current = replace(self.current, state=state, detail=detail, posture=posture or self.current.posture)
        for watcher in self._watchers:
            watcher.queue.put_nowait(self.current)

    async def told(self) -> None:
        """Returns when every watcher has been sent all changes; a watcher that takes longer than 0.5 s is not waited
        for.
        """
        waiting = [asyncio.ensure_future(watcher.queue.join()) for watcher in self._watchers]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=_TELL_TIMEOUT_S)
            for waiter in late:
                waiter.cancel()

    def close(self) -> None:
        """Ends every watcher's stream in order, because gRPC logs a stream that the server has to cancel like a
        crash.
        """
        for watcher in self._watchers:
            watcher.queue.put_nowait(None)
