"""How the worker is, and who wants to be told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Literal

State = Literal["starting", "ready", "retiring", "failed"]

# A watcher that does not read must not hold up the end of a run.
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
    """What the probe run measured: a verdict for each layer, what it found besides, and what it could import."""

    layers: tuple[Layer, ...] = ()
    facts: tuple[Fact, ...] = ()
    packages: tuple[Package, ...] = ()


@dataclass(frozen=True)
class Status:
    state: State
    detail: str = ""
    posture: Posture = Posture()


@dataclass(eq=False)
class Watcher:
    """One listener: `queue` holds what it has not been told, and None at the end."""

    queue: asyncio.Queue[Status | None] = field(default_factory=asyncio.Queue)


class StatusBoard:
    """`retiring` is never left for `ready`, and `failed` is never left."""

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
        """Returns when every watcher has been told all there is, or is too slow to wait for."""
        waiting = [asyncio.ensure_future(watcher.queue.join()) for watcher in self._watchers]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=_TELL_TIMEOUT_S)
            for waiter in late:
                waiter.cancel()

    def close(self) -> None:
        """Ends every listener's stream: one that the server has to cancel looks like a crash in its log."""
        for watcher in self._watchers:
            watcher.queue.put_nowait(None)
