"""The runs of this worker that somebody follows, or may attach to."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

from .attachable_run import AttachableRun
from .run import Run

# Enough that no execution that could come back is forgotten, and little memory.
_KEPT_IDS = 10_000


class AttachableRuns:
    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._held: dict[str, AttachableRun] = {}
        # What is about to run here; each is resolved when that is decided.
        self._starting: dict[str, asyncio.Future[None]] = {}
        # What did, and cannot be attached to.
        self._over: OrderedDict[str, None] = OrderedDict()

    def has_had(self, execution_id: str) -> bool:
        return execution_id in self._held or execution_id in self._starting or execution_id in self._over

    async def find(self, execution_id: str) -> AttachableRun | None:
        """Waits for a start that is on its way: its caller may have gone meanwhile."""
        while (starting := self._starting.get(execution_id)) is not None:
            await asyncio.shield(starting)
        return self._held.get(execution_id)

    def reserve(self, execution_id: str) -> bool:
        """False: it is or was here, and must not run a second time."""
        if self.has_had(execution_id):
            return False
        self._starting[execution_id] = asyncio.get_running_loop().create_future()
        return True

    def release(self, execution_id: str) -> None:
        """Of what was reserved nothing has run."""
        self._starting.pop(execution_id).set_result(None)

    def refuse(self, execution_id: str) -> None:
        """What was reserved could not be started here, and its caller is told so."""
        self.release(execution_id)
        self._end(execution_id)

    def hold(self, execution_id: str, run: Run) -> AttachableRun:
        held = AttachableRun(run, execution_id, self._grace_s, lambda: self._forget(execution_id))
        self._held[execution_id] = held
        self.release(execution_id)
        return held

    def all(self) -> Iterator[tuple[str, AttachableRun]]:
        """By execution."""
        yield from self._held.items()

    def any_followed(self) -> bool:
        return any(held.is_followed for held in self._held.values())

    def _forget(self, execution_id: str) -> None:
        del self._held[execution_id]
        self._end(execution_id)

    def _end(self, execution_id: str) -> None:
        self._over[execution_id] = None
        if len(self._over) > _KEPT_IDS:
            self._over.popitem(last=False)
