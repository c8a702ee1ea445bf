"""Brings out what a script has printed and what still waits in a buffer somewhere, as an interpreter does that ends.

The child ends by _exit, because the interpreter's own end can take long and cannot be told apart from the script's.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from gc import collect, get_objects
from io import BufferedRandom, BufferedWriter, TextIOWrapper
from os import fstat
from os.path import samestat
from sys import _current_frames
from typing import Any

_flush_c_streams = ctypes.CDLL(None).fflush
_KINDS: tuple[tuple[type[Any], ...], ...] = ((TextIOWrapper,), (BufferedWriter, BufferedRandom))
_ALL_KINDS = (TextIOWrapper, BufferedWriter, BufferedRandom)


def flush_outputs() -> None:
    """What the agent sees while the script goes on: Python's streams to the outputs, whoever made them, then those of C
    libraries. Another stream may be in the hands of a thread that waits for what nobody reads then."""
    _flush_streams(_flush_if_output)


def flush_all() -> None:
    """At the end: all streams, unless a thread still runs."""
    _flush_streams(_flush if len(_current_frames()) == 1 else _flush_if_output)


def _flush_streams(flush: Callable[[Any], None]) -> None:
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        _try(_flush, getattr(sys, name, None))
    found: list[Any] = []
    _try(_find_streams, found)
    # A text stream writes into one of the others.
    for kinds in _KINDS:
        for stream in found:
            if issubclass(type(stream), kinds):
                _try(flush, stream)
    _try(_flush_c_streams, None)


def _find_streams(found: list[Any]) -> None:
    # Not by isinstance, which asks the object, and so calls code of the script.
    found += [each for each in get_objects() if issubclass(type(each), _ALL_KINDS)]


def _flush_if_output(stream: Any) -> None:
    if any(samestat(fstat(stream.fileno()), fstat(output)) for output in (1, 2)):
        _flush(stream)


def _flush(stream: Any) -> None:
    if stream is not None and not getattr(stream, "closed", False):
        stream.flush()


def let_go(names: dict[str, Any]) -> None:
    """Of the script's module: what only its names hold comes to its end now. A generator runs its `finally`, a file is
    written out. Not while a thread still runs that would miss them.
    """
    if len(_current_frames()) > 1:
        return
    for is_first in (True, False):
        for name in list(names):
            is_private = name[:1] == "_" and name[:2] != "__"
            if name != "__builtins__" and is_private == is_first:
                names[name] = None
    _try(collect)


def _try(do: Callable[..., Any], *arguments: Any) -> None:
    try:
        do(*arguments)
    except BaseException:
        # The script may have broken any of it, and its end is told all the same.
        pass
