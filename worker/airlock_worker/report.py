"""How a script ended, in words: which end, and the error text with a traceback of the script's own frames."""

from __future__ import annotations

import io
import linecache as scripts_linecache
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import own_builtins
from .json_path import NotJson
from .sdk import ResultTooLarge

if TYPE_CHECKING:
    import linecache
    import traceback
else:
    _, _, linecache, traceback = own_builtins.copy_of("contextlib", "textwrap", "linecache", "traceback")

MAX_ERROR_BYTES = 64 * 1024
# A metaclass of the script may have a `__name__` of its own.
_NAME_OF_TYPE = type.__dict__["__name__"].__get__
_ERROR_PARTS = {name: BaseException.__dict__[name].__get__ for name in ("args", "__traceback__")}
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
    if error is None:
        return _ended_by_itself(result_problem)
    try:
        return _raised(error, result_problem)
    except BaseException as trouble:
        # The script's exception has methods of the script's own, and so much is true of any.
        return Outcome("script_error", _without_traceback(error, trouble))


def _ended_by_itself(result_problem: NotJson | None) -> Outcome:
    if result_problem is None:
        return Outcome("completed", "", 0)
    return Outcome(_result_end(result_problem), f"The last set_result failed: {result_problem}")


def _raised(error: BaseException, result_problem: NotJson | None) -> Outcome:
    # Not by isinstance, which believes what the exception says its class is.
    kind = type(error)
    if issubclass(kind, SystemExit):
        code = error.code  # type: ignore[attr-defined]
        if code is None:
            return _ended_by_itself(result_problem)
        if not issubclass(type(code), int):
            return Outcome("exit_nonzero", _exit_text(code))
        status = int.__int__(code)
        if status == 0:
            return _ended_by_itself(result_problem)
        return Outcome("exit_nonzero", f"The script ended with exit status {status}.", status & 0xFF)
    if result_problem is not None and any(each is result_problem for each in _chain(error)):
        return Outcome(_result_end(result_problem), traceback_text(error))
    return Outcome("out_of_memory" if issubclass(kind, MemoryError) else "script_error", traceback_text(error))


def _result_end(problem: NotJson) -> str:
    return "result_too_large" if isinstance(problem, ResultTooLarge) else "result_invalid"


def _exit_text(code: object) -> str:
    try:
        text = str(code)
    except Exception as error:
        text = f"<{type(code).__name__} whose str() raised {type(error).__name__}>"
    return cut(f"The script ended with exit status 1: {text}")


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and not any(each is following for each in found):
        found.append(following)
        following = following.__cause__ or following.__context__
    return found


def traceback_text(error: BaseException) -> str:
    try:
        return _formatted(error)
    except Exception:
        # What a script did to `os` keeps the lines of packages from being read; those of the script are here.
        linecache.updatecache = lambda *_: []
        linecache.checkcache = lambda *_: None
    try:
        return _formatted(error)
    except Exception as trouble:
        return _without_traceback(error, trouble)


def _formatted(error: BaseException) -> str:
    report = traceback.TracebackException.from_exception(error, compact=True)
    _strip(report)
    return cut("".join(report.format()).rstrip())


def _without_traceback(error: BaseException, trouble: BaseException) -> str:
    """By the interpreter's own means alone, for what the script has broken the rest of."""
    where = _ERROR_PARTS["__traceback__"](error)
    lines = []
    while where is not None:
        name, line = where.tb_frame.f_code.co_filename, where.tb_lineno
        if not name.startswith(_OURS):
            lines.append(f'  File "{name}", line {line}, in {where.tb_frame.f_code.co_name}')
            source = linecache.cache.get(name)
            if source is not None and len(source) == 4 and 0 < line <= len(source[2]):
                lines.append(f"    {source[2][line - 1].strip()}")
        where = where.tb_next
    kind, reason = _NAME_OF_TYPE(type(error)), _NAME_OF_TYPE(type(trouble))
    said = ", ".join(each for each in _ERROR_PARTS["args"](error) if type(each) is str)
    lines.append(f"{kind}: {said} (shortened: {reason} while the traceback was written)")
    return cut("\n".join(["Traceback (most recent call last):", *lines]))


def keep_source(file_name: str, code: str) -> None:
    """The text that tracebacks quote, Airlock's and the script's own."""
    for cache in (linecache.cache, scripts_linecache.cache):
        # Without a modification time linecache never looks for the file.
        cache[file_name] = (len(code), None, io.StringIO(code).readlines(), file_name)


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
    left = len(head.encode()) + len(tail.encode())
    return f"{head}\n… {len(data) - left} bytes cut …\n{tail}"
