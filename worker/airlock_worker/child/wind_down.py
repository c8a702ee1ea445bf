"""What an interpreter does after a script's last line: waits for threads, calls exit handlers, lets objects go."""

from __future__ import annotations

from _thread import get_ident
from atexit import _run_exitfuncs
from collections.abc import Callable, Iterable
from functools import partial
from signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals
from sys import modules
from typing import Any

from . import other_threads
from .last_output import end_subinterpreters, flush_all, let_go
from .signals_heard import SignalsHeard

ATTEMPTS = 100
_SIGNALS = valid_signals()


def join_threads(mask: Iterable[int]) -> BaseException | None:
    """Waits for the script's threads. Returns the exception that ended the wait, None if there was none.

    Only an exception of a signal handler counts, because it is the script's own. Any other comes from something that
    the script has replaced, and does not change the ending.
    """
    # The function by which the interpreter itself waits for threads. A library may have replaced or removed it.
    step: Callable[[], None] | None = getattr(modules.get("threading"), "_shutdown", None)
    exited = None
    with SignalsHeard() as signals:
        for _ in range(ATTEMPTS):
            try:
                pthread_sigmask(SIG_SETMASK, mask)
                if step is not None:
                    step()
                call_no_handlers()
                return exited
            except SystemExit as error:
                if not signals.came():
                    return exited
                # A SystemExit from a signal handler does not end the wait for threads. They are joined one by one now,
                # because a second call of `_shutdown` would not wait.
                exited, step = error, _join_each
            except BaseException as error:
                return error if signals.came() else exited
    return exited


def _join_each() -> None:
    for thread in [*modules["threading"]._active.values()]:
        if not thread.daemon and thread.ident != get_ident():
            thread.join()


def wind_down(
    module: list[dict[str, Any]], own: dict[str, Any], mask: Iterable[int], keeps: Iterable[Callable[[], None]]
) -> None:
    """Does what an interpreter does at its end; the script may have broken any step. Signal handlers no longer run once
    the objects that they need are freed. `module` holds the only reference to the script's names.
    """
    for step in (
        partial(_run_exit_functions, mask),
        call_no_handlers,
        partial(_stop_threads, keeps),
        partial(let_go, module, own),
        end_subinterpreters,
        flush_all,
    ):
        try:
            step()
        except BaseException:
            pass


def _run_exit_functions(mask: Iterable[int]) -> None:
    pthread_sigmask(SIG_SETMASK, mask)
    try:
        _run_exitfuncs()
    finally:
        flush_all()


def _stop_threads(keeps: Iterable[Callable[[], None]]) -> None:
    if other_threads.are_there():
        # This thread takes Airlock's locks first, because a thread that is stopped never gives back what it holds.
        for keep in keeps:
            keep()
        other_threads.stop()


def call_no_handlers() -> Iterable[int]:
    """Blocks all signals, because a handler that raises would interrupt the last frames. Returns those blocked
    before.
    """
    for _ in range(ATTEMPTS):
        try:
            return pthread_sigmask(SIG_BLOCK, _SIGNALS)
        except BaseException:
            # A signal came before the block, and its handler in the script raised an exception. The block is tried
            # again.
            pass
    return ()
