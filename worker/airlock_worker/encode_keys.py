"""What may be a key of a JSON object, and how it is written."""

from __future__ import annotations

from datetime import date, time
from enum import Enum
from sys import get_int_max_str_digits, modules, set_int_max_str_digits
from types import TracebackType
from typing import Any

from .encode_time import iso_text, trim_fraction
from .json_path import NotJson, whole


def key_text(key: Any) -> str:
    if isinstance(key, Enum):
        return key_text(key.value)
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return _digits(int(key))
    if isinstance(key, (date, time)) and not is_missing(key):
        return iso_text(key)
    plain = _numpy_key(key)
    if plain is None:
        raise NotJson(f"has the key {whole(repr(key))} of type {full_name(type(key))}; keys are str, int, date or time")
    return plain if isinstance(plain, str) else _digits(plain)


def _numpy_key(key: Any) -> str | int | None:
    """A numpy integer or time that serves as key."""
    numpy = modules.get("numpy")
    if numpy is not None and hasattr(numpy, "generic"):
        if isinstance(key, numpy.integer):
            return int(key)
        if isinstance(key, numpy.datetime64) and not numpy.isnat(key):
            return trim_fraction(str(key))
    return None


def is_missing(value: Any) -> bool:
    pandas = modules.get("pandas")
    return pandas is not None and (value is getattr(pandas, "NaT", pandas) or value is getattr(pandas, "NA", pandas))


def full_name(kind: type) -> str:
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _digits(number: int) -> str:
    with any_digits():
        return str(number)


class any_digits:
    """Integers of any length: the interpreter's limit protects parsers of strangers' text, this is the script's own."""

    def __enter__(self) -> None:
        self._limit = get_int_max_str_digits()
        set_int_max_str_digits(0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        set_int_max_str_digits(self._limit)
