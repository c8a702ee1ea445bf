"""Shortens the text of an error so that it fits its frame."""

from __future__ import annotations

from collections.abc import Iterable

MAX_ERROR_BYTES = 64 * 1024


def cut(slices: Iterable[str]) -> str:
    """At most MAX_ERROR_BYTES of UTF-8. The middle is cut, because the first and last lines are the most useful."""
    half = MAX_ERROR_BYTES // 2 - 64
    head, tail, size = b"", b"", 0
    for text in slices:
        data = text.encode("utf-8", "backslashreplace")
        size += len(data)
        head += data[: MAX_ERROR_BYTES - len(head)]
        tail = (tail + data)[-half:]
    if size <= MAX_ERROR_BYTES:
        return head.decode()
    first, last = head[:half].decode(errors="ignore"), tail.decode(errors="ignore")
    left = len(first.encode()) + len(last.encode())
    return f"{first}\n… {size - left} bytes cut …\n{last}"
