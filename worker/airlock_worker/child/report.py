"""How a script ended, in words: which end, and the error text with a traceback of the script's own frames."""

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

# A metaclass of the script may have a `__name__` of its own.
NAME_OF_TYPE = type.__dict__["__name__"].__get__
_ERROR_PARTS = {name: BaseException.__dict__[name].__get__ for name in ("args", "__traceback__")}
safe_string = traceback._safe_string  # type: ignore[attr-defined]
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@dataclass(frozen=True)
class Outcome:
    # An end reason as the protocol spells it, in lower case.
    end: str
    error: str
    # Exit status of a process that the script forked and that ended this way.
    status: int = 1


def outcome_of(
    error: BaseException | None,
    result_problem: NotJson | None,
    hints: Callable[[list[BaseException]], list[str]] = lambda chain: [],
) -> Outcome:
    """`error` is what the script let out, `result_problem` why its last set_result failed; `hints` gives sentences that
    are added to the error."""
    if error is None:
        return _ended_by_itself(result_problem)
    try:
        outcome = _raised(error, result_problem)
        if outcome.end in ("script_error", "out_of_memory"):
            lines = [outcome.error, *(f"({hint})" for hint in hints(_chain(error)))]
            return replace(outcome, error=cut(long_texts.slices("\n".join(lines))))
        return outcome
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
        # All that a system keeps of it, unless it would look like success.
        shown = status & 0xFF or status
        return Outcome("exit_nonzero", f"The script ended with exit status {shown}.", status & 0xFF)
    if result_problem is not None and any(each is result_problem for each in _chain(error)):
        return Outcome(_result_end(result_problem), traceback_text(error))
    return Outcome("out_of_memory" if issubclass(kind, MemoryError) else "script_error", traceback_text(error))


def _result_end(problem: NotJson) -> str:
    return "result_too_large" if issubclass(type(problem), ResultTooLarge) else "result_invalid"


def _exit_text(code: object) -> str:
    try:
        text = str(code)
    except Exception as error:
        text = f"<{type(code).__name__} whose str() raised {type(error).__name__}>"
    return cut(chain(["The script ended with exit status 1: "], long_texts.slices(text)))


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
        # What a script did to `os` keeps the lines of packages from being read; those of the script are here.
        linecache.updatecache = lambda *_: []
        linecache.checkcache = lambda *_: None
    try:
        return _formatted(error)
    except Exception as trouble:
        return _without_traceback(error, trouble)


def _formatted(error: BaseException) -> str:
    """Of long messages in exception groups the margins are not counted as bytes that are cut."""
    with LongTexts() as texts:
        report = _report_of(error, error.__traceback__)
        return cut(each for part in report.format() for each in texts.slices(part)).rstrip()


def _report_of(error: BaseException, where: TracebackType | None) -> traceback.TracebackException:
    report = traceback.TracebackException(type(error), error, where, compact=True)
    _complete(report, error)
    return report


def _kept_short(value: Any, what: str, func: Callable[[Any], str] = str) -> str:
    """What `traceback` takes its messages and notes by."""
    return long_texts.shortened(safe_string(value, what, func))


traceback._safe_string = _kept_short  # type: ignore[attr-defined]


def display_slices(error: BaseException, where: TracebackType | None) -> Iterator[str]:
    """As the interpreter shows it on stderr."""
    if any(issubclass(type(each), BaseExceptionGroup) for each in _chain(error)):
        # Each line of their messages has a margin, so they are not shortened.
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
    """Takes Airlock's frames off the beginning of its traceback, which is returned."""
    where: TracebackType | None = _ERROR_PARTS["__traceback__"](error)
    while where is not None and where.tb_frame.f_code.co_filename.startswith(_OURS):
        where = where.tb_next
    BaseException.with_traceback(error, where)
    return where


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
    kind, reason = NAME_OF_TYPE(type(error)), NAME_OF_TYPE(type(trouble))
    said = [each for each in _ERROR_PARTS["args"](error) if type(each) is str]
    texts = ["\n".join(["Traceback (most recent call last):", *lines, f"{kind}: "])]
    for at, text in enumerate(said):
        texts += [", " if at else "", text]
    texts.append(f" (shortened: {reason} while the traceback was written)")
    return cut(each for text in texts for each in long_texts.slices(text))


def keep_source(file_name: str, code: str) -> None:
    """The text that tracebacks quote, Airlock's and the script's own."""
    lines = io.StringIO(code, newline=None).readlines()
    if lines and not lines[-1].endswith("\n"):
        # Where carets stand is reckoned with it.
        lines[-1] += "\n"
    for cache in (linecache.cache, scripts_linecache.cache):
        # Without a modification time linecache never looks for the file.
        cache[file_name] = (len(code), None, lines, file_name)


def source_line(file_name: str, line: int) -> str:
    """Empty when there is none."""
    return linecache.getline(file_name, line)


def _complete(report: traceback.TracebackException, error: BaseException) -> None:
    """Takes Airlock's frames out, and puts in what `traceback` does not know, here and in everything that the exception
    was raised from."""
    open_ends: list[tuple[traceback.TracebackException | None, Any]] = [(report, error)]
    while open_ends:
        part, its_error = open_ends.pop()
        if part is None or its_error is None:
            continue
        kept = [frame for frame in part.stack if not frame.filename.startswith(_OURS)]
        # As for a script that could not be compiled: none of it was on the stack.
        part.stack = traceback.StackSummary.from_list(kept) if kept or not part.stack else None  # type: ignore[assignment]
        if issubclass(type(its_error), SyntaxError):
            part.msg = long_texts.shortened(part.msg)
            _set_line(part, issubclass(type(its_error), IndentationError))
        part._str = f"{part._str}{suggestion(its_error, its_error.__traceback__)}"  # type: ignore[attr-defined]
        open_ends += [(part.__cause__, its_error.__cause__), (part.__context__, its_error.__context__)]
        inner = getattr(part, "exceptions", None)
        open_ends += zip(inner, its_error.exceptions, strict=False) if inner else []


def _set_line(part: traceback.TracebackException, is_indentation: bool) -> None:
    """The source line of a SyntaxError as the interpreter shows it. Of one that is found after parsing the interpreter
    looks for the line in a file."""
    source = linecache.cache.get(part.filename)
    if part.text is None and part.lineno and source is not None and len(source) == 4:
        lines, line = source[2], int(part.lineno)
        part.text = lines[line - 1] if line <= len(lines) else None
    if is_indentation and part.text and part.offset and version_info < (3, 13):
        shown = part.text.lstrip(" \t\f")
        offset = int(part.offset) - (len(part.text) - len(shown))
        its_part: Any = part
        its_part.text, its_part.offset, its_part.end_offset = shown, offset if offset > 0 else None, None
