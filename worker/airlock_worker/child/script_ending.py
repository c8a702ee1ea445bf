"""Describes how a script ended: the end reason, and the error text with a traceback of the script's own frames."""

from __future__ import annotations

import io
import linecache as scripts_linecache
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from sys import version_info
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import own_builtins
from ..wire.error_text import cut
from . import long_texts
from .encoding.json_path import NotJson
from .long_texts import LongTexts
from .sdk import ResultTooLarge
from .suggestions import suggestion

if TYPE_CHECKING:
    import linecache
    import traceback
else:
    _, _, linecache, traceback = own_builtins.copy_of("contextlib", "textwrap", "linecache", "traceback")

# Reads a class's name from `type` itself, because a script's metaclass may have another `__name__`.
NAME_OF_TYPE = type.__dict__["__name__"].__get__
_ERROR_PARTS = {name: BaseException.__dict__[name].__get__ for name in ("args", "__traceback__")}
safe_string = traceback._safe_string  # type: ignore[attr-defined]
_EXIT_STATUS = "The script ended with exit status"
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@dataclass(frozen=True)
class ScriptEnding:
    # Name of an EndReason, in lower case and without its prefix.
    end: str
    error: str
    # Exit status of a process that the script forked and that ended this way.
    status: int = 1
    # Text that such a process writes to stderr; None: the error.
    stderr: str | None = None


def script_ending_of(
    error: BaseException | None,
    result_problem: NotJson | None,
    hints: Callable[[list[BaseException]], list[str]] = lambda chain: [],
    memory_failure: NotJson | None = None,
) -> ScriptEnding:
    """The ending of a script. `error`: the exception that it did not catch; `result_problem`: why its last set_result
    failed; `hints` returns sentences that are added to the error; `memory_failure`: a sentence about a memory.set that
    failed and left an earlier value.
    """
    if error is None or is_success(error):
        return _ended_by_itself(result_problem, memory_failure)
    try:
        ending = _raised(error, result_problem)
        if ending.end in ("script_error", "out_of_memory"):
            lines = [ending.error, *(f"({hint})" for hint in hints(_chain(error)))]
            return replace(ending, error=cut(long_texts.slices("\n".join(lines))))
        return ending
    except BaseException as trouble:
        # A method of the script's exception failed, so the error is a text that needs no method of it.
        return ScriptEnding("script_error", _without_traceback(error, trouble))


def is_success(error: BaseException) -> bool:
    """Whether an exception is a `sys.exit` without a status or with 0: the script ends as if at its last line."""
    # `issubclass` of the type is used and not `isinstance`, because an exception can lie about its `__class__`.
    if not issubclass(type(error), SystemExit):
        return False
    code = error.code  # type: ignore[attr-defined]
    return code is None or (issubclass(type(code), int) and int.__int__(code) == 0)


def _ended_by_itself(result_problem: NotJson | None, memory_failure: NotJson | None) -> ScriptEnding:
    if result_problem is not None:
        return ScriptEnding(_result_end(result_problem), f"The last set_result failed: {result_problem}")
    if memory_failure is not None:
        return ScriptEnding(_result_end(memory_failure), cut(long_texts.slices(str(memory_failure))))
    return ScriptEnding("completed", "", 0, stderr="")


def _raised(error: BaseException, result_problem: NotJson | None) -> ScriptEnding:
    # `issubclass` of the type is used and not `isinstance`, because an exception can lie about its `__class__`.
    kind = type(error)
    if issubclass(kind, SystemExit):
        code = error.code  # type: ignore[attr-defined]
        if not issubclass(type(code), int):
            text = _exit_text(code)
            said = cut(chain([f"{_EXIT_STATUS} 1: "], long_texts.slices(text)))
            return ScriptEnding("exit_nonzero", said, stderr=f"{text}\n")
        status = int.__int__(code)
        # The message names the low eight bits of the status, which is all that a system keeps, unless they are 0 and
        # would look like success.
        shown = status & 0xFF or status
        return ScriptEnding("exit_nonzero", f"{_EXIT_STATUS} {shown}.", status & 0xFF, stderr="")
    if result_problem is not None and any(each is result_problem for each in _chain(error)):
        return ScriptEnding(_result_end(result_problem), traceback_text(error))
    return ScriptEnding("out_of_memory" if issubclass(kind, MemoryError) else "script_error", traceback_text(error))


def _result_end(problem: NotJson) -> str:
    return "result_too_large" if issubclass(type(problem), ResultTooLarge) else "result_invalid"


def _exit_text(code: object) -> str:
    try:
        return str(code)
    except Exception as error:
        return f"<{type(code).__name__} whose str() raised {type(error).__name__}>"


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    known: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in known:
        found.append(following)
        known.add(id(following))
        following = following.__cause__ or following.__context__
    return found


def traceback_text(error: BaseException) -> str:
    try:
        return _formatted(error)
    except Exception:
        # The formatting failed, because the script has broken `os`, so the source lines of packages cannot be read. It
        # is tried again without these; the script's own lines are in the cache.
        linecache.updatecache = lambda *_: []
        linecache.checkcache = lambda *_: None
    try:
        return _formatted(error)
    except Exception as trouble:
        return _without_traceback(error, trouble)


def _formatted(error: BaseException) -> str:
    """The traceback's text, cut to its limit. Margins of long messages in exception groups do not count as cut
    bytes.
    """
    with LongTexts() as texts:
        report = _report_of(error, error.__traceback__)
        return cut(each for part in report.format() for each in texts.slices(part)).rstrip()


def _report_of(error: BaseException, where: TracebackType | None) -> traceback.TracebackException:
    report = traceback.TracebackException(type(error), error, where, compact=True)
    _complete(report, error)
    return report


def _kept_short(value: Any, what: str, func: Callable[[Any], str] = str) -> str:
    """Replaces the function by which `traceback` gets messages and notes, so that long ones are shortened."""
    return long_texts.shortened(safe_string(value, what, func))


traceback._safe_string = _kept_short  # type: ignore[attr-defined]


def display_slices(error: BaseException, where: TracebackType | None) -> Iterator[str]:
    """The exception's text in slices, as the interpreter prints it on stderr."""
    if any(issubclass(type(each), BaseExceptionGroup) for each in _chain(error)):
        # Messages in groups are not shortened, because each of their lines gets a margin.
        return iter(_parts(error, where))
    with LongTexts() as texts:
        parts = _parts(error, where)
    return (each for part in parts for each in texts.slices(part))


def _parts(error: BaseException, where: TracebackType | None) -> list[str]:
    try:
        return list(_report_of(error, where).format())
    except Exception as trouble:
        return [_without_traceback(error, trouble), "\n"]


def without_our_frames(error: BaseException) -> TracebackType | None:
    """Removes Airlock's frames from the beginning of the traceback, and returns the rest."""
    where: TracebackType | None = _ERROR_PARTS["__traceback__"](error)
    while where is not None and where.tb_frame.f_code.co_filename.startswith(_OURS):
        where = where.tb_next
    BaseException.with_traceback(error, where)
    return where


def _without_traceback(error: BaseException, trouble: BaseException) -> str:
    """A simple traceback that uses only built-in means, for when the script has broken the `traceback` module."""
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
    kind, reason = NAME_OF_TYPE(type(error)), NAME_OF_TYPE(type(trouble))
    said = [each for each in _ERROR_PARTS["args"](error) if type(each) is str]
    texts = ["\n".join(["Traceback (most recent call last):", *lines, f"{kind}: "])]
    for at, text in enumerate(said):
        texts += [", " if at else "", text]
    texts.append(f" (shortened: {reason} while the traceback was written)")
    return cut(each for text in texts for each in long_texts.slices(text))


def keep_source(file_name: str, code: str) -> None:
    """Stores the script's source for tracebacks, both for Airlock's `linecache` and for the script's own."""
    lines = io.StringIO(code, newline=None).readlines()
    if lines and not lines[-1].endswith("\n"):
        # The last line gets a newline, because `traceback` computes the position of carets with it.
        lines[-1] += "\n"
    for cache in (linecache.cache, scripts_linecache.cache):
        # No modification time (None), so that linecache never looks for a file.
        cache[file_name] = (len(code), None, lines, file_name)


def source_line(file_name: str, line: int) -> str:
    """The line's text; empty when there is no such line."""
    return linecache.getline(file_name, line)


def _complete(report: traceback.TracebackException, error: BaseException) -> None:
    """Removes Airlock's frames and adds suggestions and shortened messages, in the exception and in all exceptions that
    it was raised from.
    """
    open_ends: list[tuple[traceback.TracebackException | None, Any]] = [(report, error)]
    while open_ends:
        part, its_error = open_ends.pop()
        if part is None or its_error is None:
            continue
        kept = [frame for frame in part.stack if not frame.filename.startswith(_OURS)]
        # An error whose stack has only Airlock's frames is shown without a stack, as Python shows a script that it
        # could not compile.
        part.stack = traceback.StackSummary.from_list(kept) if kept or not part.stack else None  # type: ignore[assignment]
        if issubclass(type(its_error), SyntaxError):
            part.msg = long_texts.shortened(part.msg)
            _set_line(part, issubclass(type(its_error), IndentationError))
        part._str = f"{part._str}{suggestion(its_error, its_error.__traceback__)}"  # type: ignore[attr-defined]
        open_ends += [(part.__cause__, its_error.__cause__), (part.__context__, its_error.__context__)]
        inner = getattr(part, "exceptions", None)
        open_ends += zip(inner, its_error.exceptions, strict=False) if inner else []


def _set_line(part: traceback.TracebackException, is_indentation: bool) -> None:
    """Sets the source line of a SyntaxError as the interpreter shows it. For an error found after parsing, the
    interpreter would look for the line in a file.
    """
    source = linecache.cache.get(part.filename)
    if part.text is None and part.lineno and source is not None and len(source) == 4:
        lines, line = source[2], int(part.lineno)
        part.text = lines[line - 1] if line <= len(lines) else None
    if is_indentation and part.text and part.offset and version_info < (3, 13):
        shown = part.text.lstrip(" \t\f")
        offset = int(part.offset) - (len(part.text) - len(shown))
        its_part: Any = part
        its_part.text, its_part.offset, its_part.end_offset = shown, offset if offset > 0 else None, None
