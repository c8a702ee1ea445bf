"""The runs of this worker that a router follows with a Run call, or may still attach to, by execution id."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

from .attachable_run import AttachableRun
from .run import Run

# Number of ended runs whose execution ids are remembered, so that they are not started again: enough for every
# execution that a router could send again, in little memory.
_KEPT_IDS = 10_000


class AttachableRuns:
    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._held: dict[str, AttachableRun] = {}
        # Executions whose run is being started, by id. Each future resolves when the run has started or was refused.
        self._starting: dict[str, asyncio.Future[None]] = {}
        # Ids of executions whose run is over or could not be started: a router can neither attach to such a run nor
        # start it again.
        self._over: OrderedDict[str, None] = OrderedDict()

    def has_had(self, execution_id: str) -> bool:
        return execution_id in self._held or execution_id in self._starting or execution_id in self._over

    async def find(self, execution_id: str) -> AttachableRun | None:
        """The run of this execution, or None. Waits while the run is being started, because the router that started it
        may have died, and another one asks for the run.
        """
        while (starting := self._starting.get(execution_id)) is not None:
            await asyncio.shield(starting)
        return self._held.get(execution_id)

    def reserve(self, execution_id: str) -> bool:
        """Claims the execution before its run starts. False: its run is or was here, and must not start a second
        time.
        """
        if self.has_had(execution_id):
            return False
        self._starting[execution_id] = asyncio.get_running_loop().create_future()
        return True

    def release(self, execution_id: str) -> None:
        """Gives the reservation back: no run was started, and a later start is allowed."""
        self._starting.pop(execution_id).set_result(None)

    def refuse(self, execution_id: str) -> None:
        """Ends the reservation of a run that could not be started. The router has been told that ending, so a second
        start is refused.
        """
        self.release(execution_id)
        self._end(execution_id)

    def hold(self, execution_id: str, run: Run) -> AttachableRun:
        held = AttachableRun(run, execution_id, self._grace_s, lambda: self._forget(execution_id))
        self._held[execution_id] = held
        self.release(execution_id)
        return held

    def all(self) -> Iterator[tuple[str, AttachableRun]]:
        """Pairs of execution id and run."""
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
