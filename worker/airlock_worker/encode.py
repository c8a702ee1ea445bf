"""The JSON text of a Python value: what `set_result` and `memory.set` accept, and how each type is written.

| value | JSON |
|---|---|
| str, bool, None | as they are; a lone surrogate is an error, UTF-8 cannot hold it |
| int, float | all digits of the `repr`: `1.0`, `2**63+1`, `5e-324` stay themselves; NaN and infinity are errors |
| list, tuple, named tuple | array |
| set, frozenset | array, sorted by the JSON text of the elements |
| dict | object; keys are str, int, date or time; two keys with one text are an error, any other key too |
| dataclass instance | object of its fields |
| Enum member | its value |
| Decimal | string with its exact digits |
| datetime, date, time | ISO 8601 string |
| timedelta | ISO 8601 duration in days and smaller: `P1DT2H0M3.5S`, negative with a leading `-` |
| numpy scalar, array | number, string or nested arrays; a float32 is written as the float64 of the same value |
| numpy datetime64, timedelta64; pandas Timestamp, Timedelta | as datetime and timedelta; nine decimals if need be |
| NaT, pandas.NA | null |
| pandas DataFrame | array of row objects; an index other than the default comes first, named as `reset_index` does |
| pandas Series | array; with an index other than the default, object of label: value |
| anything else | error that names the type and where it stands |

A missing text in a pandas string column is null; NaN in a float column is an error, since it may be a wrong number.
More than 200 levels and values that contain themselves are errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import _FIELD  # type: ignore[attr-defined]
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite, isnan
from typing import Any

from . import encode_tables
from .encode_keys import any_digits, full_name, is_missing, key_text
from .encode_time import duration_text, iso_text
from .json_path import NotJson, at_attribute, at_item
from .plain_json import ascii_of, text_of

MAX_DEPTH = 200

_HINTS = {
    "bytes": "decode it to text, or use base64",
    "bytearray": "decode it to text, or use base64",
    "complex": "give its parts",
    "generator": "wrap it in list()",
    "range": "wrap it in list()",
    "dict_keys": "wrap it in list()",
    "dict_values": "wrap it in list()",
    "dict_items": "wrap it in dict()",
    "map": "wrap it in list()",
    "filter": "wrap it in list()",
    "zip": "wrap it in list()",
}


def encode(value: Any, name: str) -> str:
    """`name` is what the value is called in the message of a NotJson."""
    problem: NotJson
    try:
        text = _text_of(_Plain().convert(value))
        text.encode()
    except NotJson as found:
        problem = found
    except UnicodeEncodeError:
        problem = NotJson("holds a lone surrogate, half a character that UTF-8 cannot hold")
    else:
        return text
    # Raised here so that a traceback does not show the way through nested values.
    raise NotJson(problem.sentence(name)) from None


def _text_of(plain: Any) -> str:
    with any_digits():
        return text_of(plain)


class _Plain:
    """Turns a value into str, int, float, bool, None, list and dict with str keys, which `json` writes exactly."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def convert(self, value: Any) -> Any:
        kind = type(value)
        if kind is str or kind is int or value is None or kind is bool:
            return value
        if kind is float:
            return _finite(value)
        if kind is dict:
            return self._nested(value, self._object)
        if kind is list or kind is tuple:
            return self._nested(value, self._array)
        return self._convert_rare(value)

    def _convert_rare(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, Enum):
            return self.convert(value.value)
        for scalar, write in _SCALARS:
            if isinstance(value, scalar):
                return write(value)
        if isinstance(value, dict):
            return self._nested(value, self._object)
        if isinstance(value, (list, tuple)):
            return self._nested(value, self._array)
        if isinstance(value, (set, frozenset)):
            return sorted(self._nested(value, self._array), key=_text_of)
        if hasattr(kind, "__dataclass_fields__"):
            return self._nested(value, self._fields)
        known, plain = encode_tables.convert(value, self)
        if known:
            return plain
        hint = _HINTS.get(kind.__name__, "turn it into text, numbers, lists or dicts first")
        raise NotJson(f"is of type {full_name(kind)}, which has no JSON form; {hint}")

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
        """For tables: `items` are what `value` holds."""
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

    def _object(self, items: dict[Any, Any]) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, item in items.items():
            name = key if type(key) is str else key_text(key)
            if name in converted:
                raise NotJson(f"has two keys that are {ascii_of(name).decode()} in JSON")
            try:
                converted[name] = self.convert(item)
            except NotJson as problem:
                raise at_item(problem, name) from None
        return converted

    def _fields(self, value: Any) -> dict[str, Any]:
        converted = {}
        # ClassVar and InitVar stand there, too, and are no fields.
        for field in (each for each in value.__dataclass_fields__.values() if each._field_type is _FIELD):
            try:
                converted[field.name] = self.convert(getattr(value, field.name))
            except NotJson as problem:
                raise at_attribute(problem, field.name) from None
        return converted


def _finite(value: float) -> float:
    if not isfinite(value):
        name = "NaN" if isnan(value) else "infinite"
        raise NotJson(f"is {name}, which JSON cannot hold; use None or leave it out")
    return float(value)


def _date(value: Any) -> str | None:
    return None if is_missing(value) else iso_text(value)


def _duration(value: Any) -> str | None:
    return None if is_missing(value) else duration_text(value)


_SCALARS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (bool, bool),
    (int, int),
    (float, _finite),
    (Decimal, Decimal.__str__),
    ((date, time), _date),
    (timedelta, _duration),
)
