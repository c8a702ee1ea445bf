"""Refuses calls that name another worker, because after a worker is gone, its address may belong to the next one."""

from __future__ import annotations

from typing import Any

from .refusals import refuse


async def refuse_unless_for(own_id: str, worker_id: str, context: Any) -> None:
    """Ends the call with worker_lost unless `worker_id` is this worker's id."""
    if worker_id != own_id:
        text = "The worker that the call names is gone, and another worker has its address."
        await refuse(context, "worker_lost", text)
