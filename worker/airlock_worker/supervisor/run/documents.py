"""The documents of a run that has ended (result, memory updates, error): checked as JSON, and cut into pieces in the
order that the proto prescribes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

from .control_channel import ControlChannel
from .ending import Ending
from .json_check import GivenUp, is_memory, problem_of

_PIECE_BYTES = 1 << 20
# Bytes of the result and the memory together, above which they are checked in a thread, because the check would hold up
# the event loop for other runs.
_INLINE_BYTES = 64 * 1024
_EMPTY_MEMORY = b"{}"
# Seconds between two signs to the router that the check goes on. The router waits for ten seconds.
_SIGN_S = 1.0


async def checked(reported: Ending, talk: ControlChannel, sign: Callable[[], None], is_over: threading.Event) -> Ending:
    """Turns `completed` into `result_invalid` when a document is not valid JSON; leaves every other ending as it
    is. `sign` is called at once and every second while a large document is checked, and the check ends early when
    `is_over` is set.
    """
    if reported.end != "completed":
        return reported
    size = len(talk.result or b"") + len(talk.memory or b"")
    if size <= _INLINE_BYTES:
        return _check(reported, talk, is_over)
    checking = asyncio.ensure_future(asyncio.to_thread(_check, reported, talk, is_over))
    while not checking.done():
        sign()
        await asyncio.wait({checking}, timeout=_SIGN_S)
    return checking.result()


def _check(reported: Ending, talk: ControlChannel, is_over: threading.Event) -> Ending:
    try:
        return _checked(reported, talk, is_over)
    except GivenUp:
        return Ending("killed", "The run was stopped while its result was checked.")


def _checked(reported: Ending, talk: ControlChannel, is_over: threading.Event) -> Ending:
    if talk.result is not None and (problem := problem_of(talk.result, is_over)):
        return Ending("result_invalid", f"The result cannot be used: {problem}.")
    if talk.memory is not None and talk.memory != _EMPTY_MEMORY:
        problem = problem_of(talk.memory, is_over) or (
            None if is_memory(talk.memory, is_over) else "they are not of the form {category: {key: value}}"
        )
        if problem:
            return Ending("result_invalid", f"The memory updates cannot be used: {problem}.")
    return reported


def documents_of(ended: Ending, talk: ControlChannel) -> Iterator[tuple[str, bytes]]:
    """Yields the documents in pieces of up to 1 MiB, each with its kind. A completed run has a result and memory
    updates if the script gave any; every other run has its error.
    """
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
