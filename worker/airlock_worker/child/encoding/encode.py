"""Encodes a Python value as JSON, for `set_result` and `memory.set`. docs/results.md lists the form of each type.

Each type has one form, whatever its data, because an agent writes code for the form that it saw once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import _FIELD  # type: ignore[attr-defined]
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from math import inf, isfinite, isnan, nan
from typing import Any

from . import stdlib, tables
from .json_path import NotJson, at_attribute, at_item, in_element
from .keys import exact_text, full_name, is_missing, key_text
from .plain_json import ascii_of
from .time import duration_text, iso_text

MAX_DEPTH = 200


def encode(value: Any, name: str, nan_is_null: bool = False) -> str:
    """The JSON text. Raises NotJson, in whose message the value is called `name`."""
    problem: NotJson
    try:
        text = exact_text(_Plain(nan_is_null).convert(value))
        text.encode()
    except NotJson as found:
        problem = found
    except UnicodeEncodeError:
        problem = NotJson("contains a lone surrogate, which is half a character and cannot be written as UTF-8")
    else:
        return text
    # The error is raised anew here, so that its traceback does not show Airlock's calls for nested values.
    raise NotJson(problem.sentence(name)) from None


class _Plain:
    """Turns a value into str, int, float, bool, None, list and dict with str keys, which `json` writes exactly."""

    def __init__(self, nan_is_null: bool) -> None:
        self._nan_is_null = nan_is_null
        self._open: set[int] = set()

    def convert(self, value: Any) -> Any:
        kind = type(value)
        if kind is str or kind is int or value is None or kind is bool:
            return value
        if kind is float:
            return self._finite(value)
        if kind is dict:
            return self._nested(value, self._object)
        if kind is list or kind is tuple:
            return self._nested(value, self._array)
        return self._convert_rare(value)

    def _convert_rare(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, Enum):
            return self.convert(value.value)
        if isinstance(value, float):
            return self._finite(value)
        if isinstance(value, Decimal):
            # Any NaN of Decimal becomes a float NaN here, because a signalling one cannot be converted by `float`.
            return Decimal.__str__(value) if value.is_finite() else self._finite(nan if value.is_nan() else inf)
        for scalar, write in _SCALARS:
            if isinstance(value, scalar):
                return write(value)
        if isinstance(value, dict):
            return self._nested(value, self._object)
        if isinstance(value, (list, tuple)):
            return self._nested(value, self._array)
        if isinstance(value, (set, frozenset)):
            return sorted(self._nested(value, self._elements), key=exact_text)
        if hasattr(kind, "__dataclass_fields__"):
            return self._nested(value, self._fields)
        return self._convert_rarer(value)

    def _convert_rarer(self, value: Any) -> Any:
        known, plain = tables.convert(value, self)
        if known:
            return plain
        if stdlib.is_text(value):
            return str(value)
        items = stdlib.array_of(value)
        if items is not None:
            return self.nested_items(value, items)
        members = stdlib.object_of(value)
        if members is not None:
            return self._nested(value, lambda _: self._object(members))
        kind = type(value)
        raise NotJson(f"is of type {full_name(kind)}, which has no JSON form; {stdlib.hint_of(kind)}")

    def _finite(self, value: float) -> float | None:
        if isfinite(value):
            return float(value)
        if not isnan(value):
            raise NotJson("is infinite, which JSON cannot hold; use None or leave it out")
        if self._nan_is_null:
            return None
        raise NotJson("is NaN, which JSON cannot hold; pass nan=None to write each NaN as null, or leave it out")

    def _nested(self, value: Any, convert: Callable[[Any], Any]) -> Any:
        if id(value) in self._open:
            raise NotJson("contains itself")
        if len(self._open) >= MAX_DEPTH:
            raise NotJson(f"is nested deeper than {MAX_DEPTH} levels")
        self._open.add(id(value))
        try:
            return convert(value)
        finally:
            self._open.discard(id(value))

    def nested_items(self, value: Any, items: list[Any]) -> list[Any]:
        """Converts the items of a table or array. `value`: the object that holds them, to detect nesting in itself."""
        converted: list[Any] = self._nested(value, lambda _: self._array(items))
        return converted

    def _array(self, items: Any) -> list[Any]:
        converted = []
        for item in items:
            try:
                converted.append(self.convert(item))
            except NotJson as problem:
                raise at_item(problem, len(converted)) from None
        return converted

    def _elements(self, items: Any) -> list[Any]:
        """Converts the elements of a set. Errors name no position, because a set has none."""
        converted = []
        for item in items:
            try:
                converted.append(self.convert(item))
            except NotJson as problem:
                raise in_element(problem) from None
        return converted

    def _object(self, items: dict[Any, Any]) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, item in items.items():
            name = key if type(key) is str else key_text(key, self.convert)
            if name in converted:
                raise NotJson(f"has two keys that are {ascii_of(name).decode()} in JSON")
            try:
                converted[name] = self.convert(item)
            except NotJson as problem:
                raise at_item(problem, name) from None
        return converted

    def _fields(self, value: Any) -> dict[str, Any]:
        converted = {}
        # `__dataclass_fields__` also lists ClassVar and InitVar, which are not fields of the object.
        for field in (each for each in value.__dataclass_fields__.values() if each._field_type is _FIELD):
            try:
                converted[field.name] = self.convert(getattr(value, field.name))
            except NotJson as problem:
                raise at_attribute(problem, field.name) from None
        return converted


def _date(value: Any) -> str | None:
    return None if is_missing(value) else iso_text(value)


def _duration(value: Any) -> str | None:
    return None if is_missing(value) else duration_text(value)


_SCALARS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (bool, bool),
    (int, int),
    ((date, time), _date),
    (timedelta, _duration),
)
