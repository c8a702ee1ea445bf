"""Passes long error messages through `traceback` without copying them whole.

`traceback` copies a message several times: as a line, with its margin, with the lines around it. So a long message's
middle is replaced by a mark on the way in, and is restored on the way out, slice by slice.
"""

from __future__ import annotations

from _thread import _local
from collections.abc import Iterator
from os import urandom

# Characters that are kept at the beginning and at the end of a long text. A mark stands for the middle, until `slices`
# puts the middle back.
_END = 64 * 1024
_SLICE = 64 * 1024
# Random bytes of a mark, so that no text of a script contains it by chance or on purpose.
_MARK_BYTES = 16


class _Open(_local):
    # The `LongTexts` that this thread has entered, innermost last.
    stack: tuple[LongTexts, ...] = ()


_open = _Open()


class LongTexts:
    """While entered, `shortened` leaves out the middle of long texts in this thread."""

    def __init__(self) -> None:
        self._mark = urandom(_MARK_BYTES).hex()
        self._texts: list[str] = []

    def __enter__(self) -> LongTexts:
        # Several may be entered at once, because an exception's own `__str__` may show another exception.
        _open.stack = (*_open.stack, self)
        return self

    def __exit__(self, *_: object) -> None:
        _open.stack = _open.stack[:-1]

    def keep(self, text: str) -> str:
        if len(text) <= 3 * _END:
            return text
        self._texts.append(text)
        return f"{text[:_END]}{self._mark}{len(self._texts) - 1}.{text[-_END:]}"

    def slices(self, text: str) -> Iterator[str]:
        """`text` in slices, with its marks replaced by the full texts."""
        before, *marked = text.split(self._mark) if self._texts else [text]
        yield from slices(before)
        for part in marked:
            number, _, after = part.partition(".")
            whole = self._texts[int(number)]
            yield from _slices(whole, _END, len(whole) - _END)
            yield from slices(after)


def shortened(text: str) -> str:
    # Only objects of exactly the type `str` are shortened, because a subclass may have methods of the script's own.
    return _open.stack[-1].keep(text) if _open.stack and type(text) is str else text


def slices(text: str) -> Iterator[str]:
    return _slices(text, 0, len(text))


def _slices(text: str, begin: int, end: int) -> Iterator[str]:
    for at in range(begin, end, _SLICE):
        yield text[at : min(at + _SLICE, end)]
