"""Whom a call is for: the address of a worker that has gone may be another's by now, who must not take its place."""

from __future__ import annotations

from typing import Any

from .refusals import refuse


async def refuse_unless_for(own_id: str, worker_id: str, context: Any) -> None:
    """Ends the call when it is for another worker than this one."""
    if worker_id != own_id:
        text = "The worker that this call is for is gone; another one has its address."
        await refuse(context, "worker_lost", text)
