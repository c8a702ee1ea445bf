"""What may be a key of a JSON object, and how it is written."""

from __future__ import annotations

import datetime
import enum
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .encode_time import iso_text, trim_fraction
from .json_path import NotJson


def key_text(key: Any) -> str:
    if isinstance(key, enum.Enum):
        return key_text(key.value)
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return _digits(int(key))
    if isinstance(key, (datetime.date, datetime.time)) and not is_missing(key):
        return iso_text(key)
    plain = _numpy_key(key)
    if plain is None:
        raise NotJson(f"has the key {key!r:.80} of type {full_name(type(key))}; keys are str, int, date or time")
    return plain if isinstance(plain, str) else _digits(plain)


def _numpy_key(key: Any) -> str | int | None:
    """A numpy integer or time that serves as key."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "generic"):
        if isinstance(key, numpy.integer):
            return int(key)
        if isinstance(key, numpy.datetime64) and not numpy.isnat(key):
            return trim_fraction(str(key))
    return None


def is_missing(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is getattr(pandas, "NaT", pandas) or value is getattr(pandas, "NA", pandas))


def full_name(kind: type) -> str:
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _digits(number: int) -> str:
    with any_digits():
        return str(number)


@contextmanager
def any_digits() -> Iterator[None]:
    """Integers of any length: the interpreter's limit protects parsers of strangers' text, this is the script's own."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)
