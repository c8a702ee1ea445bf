"""Adds the "Did you mean" of a NameError or AttributeError, as the interpreter prints it.

From Python 3.12 on `traceback` does this itself; in 3.11 only the interpreter's own printer does, in C.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

_ARE_MISSING = sys.version_info < (3, 12)
_MOST_CANDIDATES = 750
_LONGEST_NAME = 40
_MOVE, _CASE = 2, 1


def suggestion(error: BaseException, traceback: TracebackType | None) -> str:
    """Text to add to the error's message; empty when there is no suggestion."""
    name = getattr(error, "name", None)
    if not _ARE_MISSING or type(name) is not str:
        return ""
    if issubclass(type(error), NameError):
        found = _of_name(name, traceback)
    elif issubclass(type(error), AttributeError):
        found = _closest(name, dir(error.obj))  # type: ignore[attr-defined]
    else:
        found = None
    return "" if found is None else f". Did you mean: '{found}'?"


def _of_name(name: str, traceback: TracebackType | None) -> str | None:
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    for names in (frame.f_code.co_varnames, frame.f_globals, frame.f_builtins):
        if (found := _closest(name, list(names))) is not None:
            return found
    return None


def _closest(name: str, candidates: list[Any]) -> str | None:
    if len(candidates) >= _MOST_CANDIDATES:
        return None
    best: str | None = None
    least = sys.maxsize
    for candidate in candidates:
        if type(candidate) is str and candidate != name:
            # A name is suggested when at most a third of the letters differ.
            most = min((len(name) + len(candidate) + 3) * _MOVE // 6, least - 1)
            distance = _distance(name, candidate, most)
            if distance <= most:
                best, least = candidate, distance
    return best


def _distance(a: str, b: str, most: int) -> int:
    """Levenshtein distance, where a letter in the other case is half a change; more than `most` when it is larger."""
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    if max(len(a), len(b)) > _LONGEST_NAME or abs(len(a) - len(b)) * _MOVE > most:
        return most + 1
    row = [at * _MOVE for at in range(len(b) + 1)]
    for letter in a:
        above, row[0] = row[0], row[0] + _MOVE
        for at, other in enumerate(b):
            changed = above + (0 if letter == other else _CASE if letter.lower() == other.lower() else _MOVE)
            above = row[at + 1]
            row[at + 1] = min(changed, row[at] + _MOVE, above + _MOVE)
    return row[-1]
