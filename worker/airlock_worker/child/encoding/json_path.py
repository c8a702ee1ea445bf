"""Describes why a value cannot be JSON, and the path to the part at fault: `result["rows"][3].price`."""

from __future__ import annotations

from .plain_json import text_of

_SHOWN_SEGMENTS = 12
_MAX_SHOWN = 80


class NotJson(ValueError):
    """A value has no JSON form. The path to the part at fault is added from the inside out; `sentence` puts a name
    before it.
    """

    # The module name before the class's name in a script's traceback.
    __module__ = "airlock"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._problem = problem
        self._segments: list[str] = []

    def prefix(self, segment: str) -> NotJson:
        self._segments.append(segment)
        return self

    def take_position(self) -> int | None:
        """Removes the outermost position from the path and returns it. None: the problem is not in an item."""
        return int(self._segments.pop()[1:-1]) if self._segments else None

    def sentence(self, name: str) -> str:
        segments = self._segments[::-1]
        if len(segments) > _SHOWN_SEGMENTS:
            half = _SHOWN_SEGMENTS // 2
            segments = [*segments[:half], "…", *segments[-half:]]
        return f"{name}{''.join(segments)} {self._problem}"


def in_element(problem: NotJson) -> NotJson:
    """The problem of an element of a set, which has no position."""
    where = problem.sentence("")
    return NotJson(f"has an element that{where}" if where.startswith(" ") else f"has an element whose {where}")


def at_item(problem: NotJson, key: str | int) -> NotJson:
    return problem.prefix(f"[{key}]" if isinstance(key, int) else f"[{_short(key)}]")


def at_attribute(problem: NotJson, name: str) -> NotJson:
    """Adds a dataclass's field or a table's column to the path."""
    return problem.prefix(f".{name}" if name.isidentifier() else f"[{_short(name)}]")


def _short(key: str) -> str:
    return text_of(key) if len(key) <= _MAX_SHOWN else f"a key of {len(key)} characters"


def whole(text: str) -> str:
    """The text for a message, or only its length if it is long. A message never holds a part of a value, because the
    sanitizer would not find a part of a secret.
    """
    return text if len(text) <= _MAX_SHOWN else f"one of {len(text)} characters"
