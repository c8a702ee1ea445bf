"""Flushes what a script has printed and what is still in buffers, as an interpreter does when it ends.

The child ends by _exit, because the interpreter's own shutdown can take long, and looks like the script still running.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Mapping
from fcntl import F_GETFL
from gc import collect, get_objects, get_referrers
from io import BufferedRandom, BufferedWriter, TextIOWrapper
from os import O_NONBLOCK, fstat, set_blocking
from os.path import samestat
from sys import modules
from typing import Any
from weakref import ref

from . import other_threads

# The original `gc.freeze`, which scripts do not get: theirs is `_freeze` below.
freeze_all = gc.freeze
_libc = ctypes.CDLL(None)
# libc's own `fcntl` is called, because the first call of another function of `os` would copy a page of memory in every
# run.
_flush_c_streams, _fcntl = _libc.fflush, _libc.fcntl
_KINDS: tuple[tuple[type[Any], ...], ...] = ((TextIOWrapper,), (BufferedWriter, BufferedRandom))
_ALL_KINDS = (TextIOWrapper, BufferedWriter, BufferedRandom)
# The streams that existed at the script's last `gc.freeze()`, which hides them from `gc.get_objects`.
_frozen: list[ref[Any]] = []


def flush_outputs() -> None:
    """Flushes streams to stdout and stderr, Python's first and then those of C libraries, before the script pauses or
    ends. Other streams are left alone, because a thread may hold one and wait for a reader.
    """
    _flush_streams(_flush_if_output)


def flush_all() -> None:
    """At the script's end: flushes all streams, or only stdout and stderr while another thread still runs."""
    _flush_streams(_flush_if_output if other_threads.are_there() else _flush)


def _flush_streams(flush: Callable[[Any], None]) -> None:
    # The outputs are made blocking for the flush, because neither Python nor C keeps what a non-blocking pipe does not
    # take at once. Programs that the script started share the pipe, and asyncio and Node make it non-blocking.
    if (_fcntl(1, F_GETFL) | _fcntl(2, F_GETFL)) & O_NONBLOCK:
        lifted = [output for output in (1, 2) if _fcntl(output, F_GETFL) & O_NONBLOCK]
        _set_blocking(lifted, True)
        _flush_each(flush)
        _set_blocking(lifted, False)
    else:
        _flush_each(flush)


def _flush_each(flush: Callable[[Any], None]) -> None:
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        _try(_flush, getattr(sys, name, None))
    found: list[Any] = []
    _try(_find_streams, found)
    # Text streams are flushed before binary ones, because they write into these.
    for kinds in _KINDS:
        for stream in found:
            if issubclass(type(stream), kinds):
                _try(flush, stream)
    _try(_flush_c_streams, None)


def _set_blocking(outputs: list[int], blocking: bool) -> None:
    for output in outputs:
        # `set_blocking` fails where the script has closed the output, which is ignored.
        _try(set_blocking, output, blocking)


def _find_streams(found: list[Any]) -> None:
    # `issubclass` of the type is used and not `isinstance`, because `isinstance` reads the object's `__class__`, which
    # may run code of the script.
    found += [each for each in get_objects() if issubclass(type(each), _ALL_KINDS)]
    if _frozen:
        found += [stream for frozen in _frozen if (stream := frozen()) is not None]


def _freeze() -> None:
    """Freeze all current tracked objects and ignore them for future collections."""
    _try(_remember_streams)
    freeze_all()


# Scripts that call `gc.freeze` get this function, because the original hides all objects from `gc.get_objects`, also
# the streams that `flush_all` must find.
gc.freeze = _freeze


def _remember_streams() -> None:
    found: list[Any] = []
    _find_streams(found)
    _frozen[:] = map(ref, found)


def _flush_if_output(stream: Any) -> None:
    if any(samestat(fstat(stream.fileno()), fstat(output)) for output in (1, 2)):
        _flush(stream)


def _flush(stream: Any) -> None:
    if stream is not None and not getattr(stream, "closed", False):
        stream.flush()


class _Mark:
    """Stands among the names of a script's module, and is gone when they are."""


def let_go(module: list[dict[str, Any]], own: Mapping[str, Any]) -> None:
    """Lets the objects of the script's module end: a generator runs its `finally`, a file is written. Other threads
    must be stopped, because they would miss the names. `module` holds the only reference to the names, and is emptied.
    `own`: Airlock's objects, whose names stay, because what ends now may call them.
    """
    mark = _Mark()
    mark_ref = ref(mark)
    module[0]["__airlock__"] = mark
    del mark, modules["__main__"], module[0]
    # Nothing refers to the module now but its own functions and classes. So the collector calls the finalizers while
    # all names are there, as in CPython.
    _try(collect)
    if mark_ref() is not None:
        # Something else refers to the module, such as a stopped thread or a hook.
        for names in [each for each in get_referrers(mark_ref()) if type(each) is dict]:
            _empty(names, own)
        _try(collect)


def _empty(names: dict[str, Any], own: Mapping[str, Any]) -> None:
    for is_first in (True, False):
        # The names that were bound last go first, because they may need functions and modules that were bound before.
        for name in reversed(list(names)):
            is_private = name[:1] == "_" and name[:2] != "__"
            is_own = name == "__builtins__" or (name in own and names[name] is own[name])
            if not is_own and is_private == is_first:
                names[name] = None


def end_subinterpreters() -> None:
    """Ends the interpreters that the script has made and left, because their streams hold what they have printed. An
    interpreter that a thread still runs stays.
    """
    module = modules.get("_interpreters") or modules.get("_xxsubinterpreters")
    if module is None:
        return
    for found in module.list_all():
        # Python 3.13 and later list pairs of an id and of what made the interpreter.
        ident = found[0] if type(found) is tuple else found
        if ident != 0:
            _try(module.destroy, ident)


def _try(do: Callable[..., Any], *arguments: Any) -> None:
    try:
        do(*arguments)
    except BaseException:
        # The script may have broken anything that is called here. Its ending is reported all the same.
        pass
