"""Finds where UTF-8 text may be cut without cutting a character in two."""

from __future__ import annotations

_LONGEST = 4


def begun_bytes(data: bytes) -> int:
    """Number of bytes at the end of `data` that begin a character whose rest is missing.

    0 when the text ends in a whole character, or in bytes that are not UTF-8.
    """
    for count in range(1, min(_LONGEST - 1, len(data)) + 1):
        byte = data[-count]
        if byte & 0xC0 != 0x80:
            size = 4 if 0xF0 <= byte <= 0xF4 else 3 if 0xE0 <= byte < 0xF0 else 2 if 0xC2 <= byte < 0xE0 else 1
            return count if size > count else 0
    return 0
