"""Flushes what a script has printed and what is still in buffers, as an interpreter does when it ends.

The child ends by _exit, because the interpreter's own shutdown can take long, and looks like the script still running.
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
    """Flushes streams to stdout and stderr, Python's first and then those of C libraries, before the script pauses or
    ends. Other streams are left alone, because a thread may hold one and wait for a reader.
    """
    _flush_streams(_flush_if_output)


def flush_all() -> None:
    """At the script's end: flushes all streams, or only stdout and stderr while another thread still runs."""
    _flush_streams(_flush if len(_current_frames()) == 1 else _flush_if_output)


def _flush_streams(flush: Callable[[Any], None]) -> None:
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        _try(_flush, getattr(sys, name, None))
    found: list[Any] = []
    _try(_find_streams, found)
    # Text streams come first, because they write into the binary ones.
    for kinds in _KINDS:
        for stream in found:
            if issubclass(type(stream), kinds):
                _try(flush, stream)
    _try(_flush_c_streams, None)


def _find_streams(found: list[Any]) -> None:
    # issubclass of the type and not isinstance, which reads the object's `__class__` and so may call code of the
    # script.
    found += [each for each in get_objects() if issubclass(type(each), _ALL_KINDS)]


def _flush_if_output(stream: Any) -> None:
    if any(samestat(fstat(stream.fileno()), fstat(output)) for output in (1, 2)):
        _flush(stream)


def _flush(stream: Any) -> None:
    if stream is not None and not getattr(stream, "closed", False):
        stream.flush()


def let_go(names: dict[str, Any]) -> None:
    """Removes the names of the script's module, so that their objects end now: a generator runs its `finally`, a file
    is written. Does nothing while another thread still runs, because that would miss the names.
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
        # The script may have broken any part of this. Its ending is reported all the same.
        pass
