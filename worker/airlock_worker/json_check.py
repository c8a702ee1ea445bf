"""Whether a text that a run child sent is JSON, strictly. The text itself goes on as it came."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

MAX_DEPTH = 200

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
# A character beyond U+FFFF as many encoders write it: two escapes, of which neither means anything alone. Each begins
# with an odd backslash.
_PAIR = re.compile(rb"(?<!\\)((?:\\\\)*)\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]")


def problem_of(text: bytes) -> str | None:
    """None when it is one JSON value: UTF-8, no NaN or Infinity, no key twice, at most MAX_DEPTH levels."""
    if _depth(text) > MAX_DEPTH:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    if _SURROGATE.search(text) and _SURROGATE.search(_PAIR.sub(rb"\1", text)):
        return "it escapes half a character"
    try:
        # Numbers stay text: no digit limit, no rounding, and no time spent on them.
        json.loads(
            text.decode(),
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_no_key_twice,
        )
    except (ValueError, RecursionError) as error:
        return str(error) if isinstance(error, _Refused) else "it is not JSON in UTF-8"
    return None


class _Refused(ValueError):
    pass


def _refuse_constant(name: str) -> None:
    raise _Refused(f"it holds {name}")


def _no_key_twice(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused("an object has one key twice")
    return members


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", text)):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def is_memory(text: bytes) -> bool:
    """Whether JSON that passed `problem_of` has the shape {category: {key: value}}."""
    value = json.loads(text, parse_int=str, parse_float=str)
    return isinstance(value, dict) and all(isinstance(entries, dict) for entries in value.values())
