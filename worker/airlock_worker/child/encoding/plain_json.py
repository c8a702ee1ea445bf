"""JSON by the C functions beneath the module `json`: what a script does to that module does not reach them."""

from __future__ import annotations

from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
from typing import Any

_BLANKS = " \t\n\r"


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _Strict:
    """What the scanner asks of a JSONDecoder."""

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
    """Of str, int, float, bool, None, and lists and dicts of these. ValueError for NaN and infinity."""
    return "".join(_exact(value, 0))


def ascii_of(value: Any) -> bytes:
    """The same in ASCII, which can carry half a character that UTF-8 cannot."""
    return "".join(_ascii(value, 0)).encode()


def sorted_of(value: Any) -> str:
    """One text for equal values, however they were written: names in order, no blanks, ASCII."""
    return "".join(_sorted(value, 0))


def value_of(text: str) -> Any:
    """Of a text that is known to be JSON."""
    return _scan(text.lstrip(_BLANKS), 0)[0]
