"""The documents of a run that has ended (result, memory updates, error): checked as JSON, and cut into pieces in the
order that the proto prescribes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from .control_channel import ControlChannel
from .json_check import is_memory, problem_of
from .verdict import Verdict

_PIECE_BYTES = 1 << 20
# Texts longer than this are checked in a thread, because the check would hold up the event loop for other runs.
_INLINE_BYTES = 64 * 1024
_EMPTY_MEMORY = b"{}"


async def checked(claimed: Verdict, talk: ControlChannel) -> Verdict:
    """Turns `completed` into `result_invalid` when a document is not valid JSON; leaves every other verdict as it
    is.
    """
    if claimed.end != "completed":
        return claimed
    size = len(talk.result or b"") + len(talk.memory or b"")
    return await asyncio.to_thread(_check, claimed, talk) if size > _INLINE_BYTES else _check(claimed, talk)


def _check(claimed: Verdict, talk: ControlChannel) -> Verdict:
    if talk.result is not None and (problem := problem_of(talk.result)):
        return Verdict("result_invalid", f"The result cannot be used: {problem}.")
    if talk.memory is not None and talk.memory != _EMPTY_MEMORY:
        problem = problem_of(talk.memory) or (None if is_memory(talk.memory) else "they have another form")
        if problem:
            return Verdict("result_invalid", f"The memory updates cannot be used: {problem}.")
    return claimed


def documents_of(ended: Verdict, talk: ControlChannel) -> Iterator[tuple[str, bytes]]:
    """Pairs of kind and piece. A completed run has a result and memory updates, any other run has its error."""
    if ended.end != "completed":
        yield from _pieces("KIND_ERROR", ended.error.encode())
        return
    if talk.result is not None:
        yield from _pieces("KIND_RESULT", talk.result)
    if talk.memory is not None and talk.memory != _EMPTY_MEMORY:
        yield from _pieces("KIND_MEMORY_UPDATES", talk.memory)


def _pieces(kind: str, text: bytes) -> Iterator[tuple[str, bytes]]:
    for at in range(0, len(text), _PIECE_BYTES):
        yield kind, text[at : at + _PIECE_BYTES]
