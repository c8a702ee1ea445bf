"""JSON by the C functions beneath the module `json`, because a script may have changed that module."""

from __future__ import annotations

from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
from typing import Any

_BLANKS = " \t\n\r"


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _Strict:
    """The attributes that the C scanner reads from a JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = _refuse


_exact = make_encoder(None, _refuse, encode_basestring, None, ":", ",", False, False, False)
_ascii = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
_sorted = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", True, False, False)
_scan = make_scanner(_Strict)  # type: ignore[arg-type]


def text_of(value: Any) -> str:
    """JSON text of str, int, float, bool, None, and lists and dicts of these. ValueError for NaN and infinity."""
    return "".join(_exact(value, 0))


def ascii_of(value: Any) -> bytes:
    """JSON in ASCII, which can represent lone surrogates, unlike UTF-8."""
    return "".join(_ascii(value, 0)).encode()


def sorted_of(value: Any) -> str:
    """JSON text that is the same for equal values: names in order, no blanks, ASCII."""
    return "".join(_sorted(value, 0))


def value_of(text: str) -> Any:
    """The value of a text that is known to be JSON."""
    return _scan(text.lstrip(_BLANKS), 0)[0]
