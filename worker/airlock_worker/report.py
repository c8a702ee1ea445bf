"""How a script ended, in words: which end, and the error text with a traceback of the script's own frames."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass

from .json_path import NotJson
from .sdk import ResultTooLarge

MAX_ERROR_BYTES = 64 * 1024
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


@dataclass(frozen=True)
class Outcome:
    # An end reason as the protocol spells it, in lower case.
    end: str
    error: str
    # Exit status of a process that the script forked and that ended this way.
    status: int = 1


def outcome_of(error: BaseException | None, result_problem: NotJson | None) -> Outcome:
    """`error` is what the script let out, `result_problem` why its last set_result failed."""
    if isinstance(error, SystemExit) and error.code is not None and error.code != 0:
        return Outcome("exit_nonzero", _exit_text(error.code), error.code & 0xFF if isinstance(error.code, int) else 1)
    if error is None or isinstance(error, SystemExit):
        if result_problem is None:
            return Outcome("completed", "", 0)
        return Outcome(_result_end(result_problem), f"The last set_result failed: {result_problem}")
    if result_problem is not None and result_problem in _chain(error):
        return Outcome(_result_end(result_problem), traceback_text(error))
    end = "out_of_memory" if isinstance(error, MemoryError) else "script_error"
    return Outcome(end, traceback_text(error))


def _result_end(problem: NotJson) -> str:
    return "result_too_large" if isinstance(problem, ResultTooLarge) else "result_invalid"


def _exit_text(code: object) -> str:
    if isinstance(code, int):
        return f"The script ended with exit status {int(code)}."
    try:
        text = str(code)
    except Exception as error:
        text = f"<{type(code).__name__} whose str() raised {type(error).__name__}>"
    return cut(f"The script ended with exit status 1: {text}")


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain


def traceback_text(error: BaseException) -> str:
    try:
        report = traceback.TracebackException.from_exception(error, compact=True)
        _strip(report)
        return cut("".join(report.format()).rstrip())
    except Exception as trouble:
        # An exception may have a __str__ of the script's own making.
        return f"{type(error).__name__} (no traceback: {type(trouble).__name__} while it was written)"


def _strip(report: traceback.TracebackException) -> None:
    """Takes Airlock's frames out, here and in everything the exception was raised from."""
    open_ends: list[traceback.TracebackException | None] = [report]
    while open_ends:
        part = open_ends.pop()
        if part is not None:
            kept = [frame for frame in part.stack if not frame.filename.startswith(_OURS)]
            part.stack = traceback.StackSummary.from_list(kept)
            open_ends += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or [])]


def cut(text: str) -> str:
    """At most MAX_ERROR_BYTES of UTF-8; the middle goes, since the first and the last lines tell most."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= MAX_ERROR_BYTES:
        return data.decode()
    half = MAX_ERROR_BYTES // 2 - 64
    head, tail = data[:half].decode(errors="ignore"), data[-half:].decode(errors="ignore")
    return f"{head}\n… {len(data) - 2 * half} bytes cut …\n{tail}"
