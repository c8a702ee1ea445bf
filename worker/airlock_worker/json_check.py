"""Whether a text that a run child sent is JSON, strictly. The text itself goes on as it came."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

MAX_DEPTH = 200
_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"

# Patterns without groups and alternatives: `re` may need time and memory for each character that such a part matches.
_STRING = re.compile(rb'"[^"]*"')
# A character beyond U+FFFF as many encoders write it: two escapes, of which neither means anything alone.
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NO_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'"[]{}')


def problem_of(text: bytes) -> str | None:
    """None when it is one JSON value: UTF-8, no NaN or Infinity, no key twice, at most MAX_DEPTH levels."""
    # Every backslash that is left begins another escape.
    single = text.replace(rb"\\", b"__")
    if _SURROGATE.search(single) and _SURROGATE.search(_PAIR.sub(b"", single)):
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
    except RecursionError:
        return _TOO_DEEP
    except ValueError as error:
        return str(error) if isinstance(error, _Refused) else "it is not JSON in UTF-8"
    return _TOO_DEEP if _depth(single) > MAX_DEPTH else None


class _Refused(ValueError):
    pass


def _refuse_constant(name: str) -> None:
    raise _Refused(f"it holds {name}")


def _no_key_twice(pairs: Sequence[tuple[str, object]]) -> None:
    """Makes no object: of ten megabytes of small ones they would take a hundred times as much."""
    if len(dict(pairs)) != len(pairs):
        raise _Refused("an object has one key twice")


def _depth(text: bytes) -> int:
    """Of JSON without escaped backslashes."""
    depth = deepest = 0
    for bracket in _STRING.sub(b"", text.replace(rb"\"", b"").translate(None, _NO_STRUCTURE)):
        if bracket in b"[{":
            depth += 1
            if depth > deepest:
                deepest = depth
        else:
            depth -= 1
    return deepest


# Stand for objects, which are not made: one whose values all are objects, and any other.
_OF_OBJECTS, _OF_OTHERS = object(), object()


def _kind_of(pairs: Sequence[tuple[str, object]]) -> object:
    return _OF_OBJECTS if all(value is _OF_OBJECTS or value is _OF_OTHERS for _, value in pairs) else _OF_OTHERS


def is_memory(text: bytes) -> bool:
    """Whether JSON that passed `problem_of` has the shape {category: {key: value}}."""
    return json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=_kind_of) is _OF_OBJECTS
