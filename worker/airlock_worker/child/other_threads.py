"""Counts the script's other threads, and stops them at its end, as an interpreter stops its daemon threads."""

from __future__ import annotations

import ctypes
from _thread import _count, allocate_lock, get_ident
from sys import _current_frames, modules

# A library of its own, because scripts share the functions of `ctypes.pythonapi` and may change them.
_python = ctypes.PyDLL(None)
_raise_in = _python.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)
_newest_interpreter, _interpreter_after = _python.PyInterpreterState_Head, _python.PyInterpreterState_Next
_newest_interpreter.restype = _interpreter_after.restype = ctypes.c_void_p
_interpreter_after.argtypes = (ctypes.c_void_p,)
# Held from the import on, and never released.
_never = allocate_lock()
_never.acquire()


class _Stopped(SystemExit):
    """Stops the thread in which it is raised: the thread that makes the exception waits for ever."""

    def __init__(self) -> None:
        _never.acquire()


def are_there() -> bool:
    """Whether another thread of the script runs."""
    idents = _idents()
    return _count() > 0 if idents is None else bool(idents)


def stop() -> None:
    """Stops all other threads before they run their next line. A thread that waits in a system call goes on waiting,
    and is stopped when the call returns.
    """
    for ident in _idents() or modules["threading"]._active.keys() - {get_ident()}:
        _raise_in(ident, _Stopped)


def _idents() -> set[int] | None:
    """The other threads, by identifier; None where they cannot be listed."""
    # `_current_frames` makes objects for the threads of all interpreters with this interpreter's allocator. Since
    # Python 3.12 another interpreter has an allocator of its own, and the process ends when that frees them.
    if _interpreter_after(_newest_interpreter()) is not None:
        return None
    try:
        return _current_frames().keys() - {get_ident()}
    except BaseException:
        # An audit hook of the script has refused the call.
        return None
