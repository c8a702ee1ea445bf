"""Shows exceptions on stderr as the interpreter does, with the script's source lines.

Until Python 3.12 the interpreter does that in C and reads the lines from a file, which a script does not have. So
Airlock installs its own hooks. A script may replace them, and its hook is then called as the interpreter would.
"""

from __future__ import annotations

import sys
import threading
from itertools import chain
from types import TracebackType
from typing import Any

from .long_texts import slices
from .script_ending import display_slices, is_success, without_our_frames

_THREAD_ENDED = SystemExit
_WRITTEN_AT_ONCE = 1 << 20


def install() -> None:
    """Installs the hooks, in the template for all runs."""
    sys.excepthook = sys.__excepthook__ = _show
    threading.excepthook = threading.__excepthook__ = _show_of_thread
    sys.unraisablehook = sys.__unraisablehook__ = _show_unraisable


def _write(before: str, error: BaseException, traceback: TracebackType | None) -> None:
    """Writes the text in one piece, so that it stays together when several threads write; a long text in several."""
    stream = getattr(sys, "stderr", None)
    if stream is None:
        return
    waiting = ""
    for text in chain(slices(before), display_slices(error, traceback)):
        if len(waiting) + len(text) > _WRITTEN_AT_ONCE:
            stream.write(waiting)
            waiting = ""
        waiting += text
    stream.write(waiting)
    stream.flush()


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    _write("", error, traceback)


def _show_of_thread(ended: Any) -> None:
    if ended.exc_type is _THREAD_ENDED:
        return
    name = ended.thread.name if ended.thread is not None else threading.get_ident()
    _write(f"Exception in thread {name}:\n", ended.exc_value, ended.exc_traceback)


def _show_unraisable(what: Any) -> None:
    message = what.err_msg or "Exception ignored in"
    about = f"{message}: {what.object!r}\n" if what.object is not None else f"{message}:\n"
    _write(about, what.exc_value, what.exc_traceback)


def call_hook(error: BaseException) -> BaseException:
    """Calls the script's own sys.excepthook, if it has one. Returns the exception that the script has ended by after
    that.
    """
    hook = getattr(sys, "excepthook", None)
    if hook is None or hook is _show or issubclass(type(error), SystemExit):
        return error
    traceback = without_our_frames(error)
    try:
        hook(type(error), error, traceback)
    except SystemExit as ended:
        # A script that raised an exception has not succeeded, even if its `sys.excepthook` exits with 0.
        return error if is_success(ended) else ended
    except BaseException as trouble:
        trouble.__context__ = None
        _write("Error in sys.excepthook:\n", trouble, trouble.__traceback__)
        _write("\nOriginal exception was:\n", error, traceback)
    return error
