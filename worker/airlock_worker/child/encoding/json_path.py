"""Why a value cannot be JSON, and the path to where it stands: `result["rows"][3].price`."""

from __future__ import annotations

from .plain_json import text_of

_SHOWN_SEGMENTS = 12
_MAX_SHOWN = 80


class NotJson(ValueError):
    """`sentence` puts the name of the whole in front of the path that the problem gathered on its way out."""

    # What tracebacks of scripts call it by.
    __module__ = "airlock"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._problem = problem
        self._segments: list[str] = []

    def prefix(self, segment: str) -> NotJson:
        self._segments.append(segment)
        return self

    def take_position(self) -> int | None:
        """Of the outermost item, which the path has no longer then. None: the problem lies not in an item."""
        return int(self._segments.pop()[1:-1]) if self._segments else None

    def sentence(self, name: str) -> str:
        segments = self._segments[::-1]
        if len(segments) > _SHOWN_SEGMENTS:
            half = _SHOWN_SEGMENTS // 2
            segments = [*segments[:half], "…", *segments[-half:]]
        return f"{name}{''.join(segments)} {self._problem}"


def in_element(problem: NotJson) -> NotJson:
    """Elements of a set, which has no positions."""
    where = problem.sentence("")
    return NotJson(f"has an element that{where}" if where.startswith(" ") else f"has an element whose {where}")


def at_item(problem: NotJson, key: str | int) -> NotJson:
    return problem.prefix(f"[{key}]" if isinstance(key, int) else f"[{_short(key)}]")


def at_attribute(problem: NotJson, name: str) -> NotJson:
    """Fields of dataclasses and columns of tables."""
    return problem.prefix(f".{name}" if name.isidentifier() else f"[{_short(name)}]")


def _short(key: str) -> str:
    return text_of(key) if len(key) <= _MAX_SHOWN else f"a key of {len(key)} characters"


def whole(text: str) -> str:
    """For a message: the text as it is or, where it is long, its length. A part of a secret is not found where errors
    are cleaned, so a message never holds a part of a value.
    """
    return text if len(text) <= _MAX_SHOWN else f"one of {len(text)} characters"
