"""Encodes less common types of the standard library. No module is imported here: if the script has not imported it, no
value of its types exists.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from sys import modules
from typing import Any

# Types whose values are written as text, by module; subclasses count as well.
_TEXTS = {
    "uuid": ("UUID",),
    "pathlib": ("PurePath",),
    "ipaddress": ("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"),
}
_ARRAYS: tuple[type[Any], ...] = (deque, range, type({}.keys()), type({}.values()))
_HINTS = {
    "bytes": "decode it to text, or use base64",
    "bytearray": "decode it to text, or use base64",
    "memoryview": "decode it to text, or use base64",
    "complex": "give its parts",
    "generator": "wrap it in list()",
    "dict_items": "wrap it in dict()",
    "map": "wrap it in list()",
    "filter": "wrap it in list()",
    "zip": "wrap it in list()",
    # The class of sqlite3's result rows.
    "Row": "use dict(row)",
    "Fraction": "use str() or float()",
}
# Methods by which types of other packages give plain values. The error's hint names the first that a value has.
_METHODS = ("to_dicts", "to_pylist", "to_pandas", "model_dump", "to_dict", "tolist", "to_list", "toarray", "_asdict")


def is_text(value: Any) -> bool:
    """Whether `str` gives everything that the value holds."""
    for module, names in _TEXTS.items():
        found = modules.get(module)
        if found is not None and any(isinstance(value, getattr(found, name, ())) for name in names):
            return True
    return False


def array_of(value: Any) -> list[Any] | None:
    return list(value) if isinstance(value, _ARRAYS) else None


def object_of(value: Any) -> dict[Any, Any] | None:
    return dict(value.items()) if isinstance(value, Mapping) else None


def hint_of(kind: type) -> str:
    """Advice for a value of a type that has no JSON form."""
    if kind.__name__ in _HINTS:
        return _HINTS[kind.__name__]
    if kind.__name__.lower().endswith("dtype"):
        return "use str()"
    for name in _METHODS:
        if callable(getattr(kind, name, None)):
            return f"call its .{name}() first"
    return "turn it into text, numbers, lists or dicts first"
