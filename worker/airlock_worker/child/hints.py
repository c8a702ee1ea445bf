"""Adds hints to a script's error: which limit or rule of the project caused it, where the exception does not say so."""

from __future__ import annotations

import re
from _socket import gaierror
from collections.abc import Iterator
from errno import EAGAIN, EDQUOT, EFBIG, EMFILE, ENOMEM, ENOSPC, EPERM
from resource import RLIMIT_NOFILE, getrlimit
from types import TracebackType

from ..linux.proc import private_memory_bytes
from ..wire import limits_text
from ..wire.limits import Limits
from .no_network import NO_NETWORK, NO_NETWORK_SENTENCE
from .script_ending import source_line

_ERRNO = OSError.__dict__["errno"].__get__
_FILE_NAME = OSError.__dict__["filename"].__get__
_MODULE_NAME = ImportError.__dict__["name"].__get__
_SYNTAX_TEXT = SyntaxError.__dict__["text"].__get__
_FENCE = "```"
_NEXT = BaseException.__dict__["__traceback__"].__get__
# Texts by which libraries other than Python's own report a host name that could not be resolved.
_search_unresolved = re.compile(
    "name or service not known|name resolution|could not (resolve|translate) host|failed to resolve|dns error",
    re.IGNORECASE,
).search
_search_parser = re.compile(r"\b(compile|eval|exec|literal_eval|parse|raise)\b").search
# Characters at the beginning and at the end of an exception's message that are searched for a reason for a hint.
_END = 32 * 1024


_before_script = 0


def look_around() -> None:
    """Measures in the template the memory that every run has before its script."""
    global _before_script
    _before_script = private_memory_bytes()


class Hints:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def of(self, chain: list[BaseException]) -> list[str]:
        """The hints, each once. `chain`: the exception that ended the script, and those that led to it."""
        found: dict[str, None] = {}
        for error in chain:
            try:
                found.update(dict.fromkeys(self._of_one(error)))
            except BaseException:
                # An error is ignored, because the exception's methods are the script's and may raise. The hint is then
                # missing.
                pass
        return list(found)

    def _of_one(self, error: BaseException) -> Iterator[str]:
        kind, limits = type(error), self._limits
        number = _ERRNO(error) if issubclass(kind, OSError) else None
        # OutOfMemoryException is DuckDB's. The hint is added because DuckDB's text advises a larger memory_limit than
        # the run has.
        if issubclass(kind, MemoryError) or number == ENOMEM or kind.__name__ == "OutOfMemoryException":
            used = max(0, private_memory_bytes() - _before_script)
            yield limits_text.of_memory_error(used, limits, may_be_other=_may_be_other(error))
        elif number in (ENOSPC, EDQUOT, EFBIG):
            yield limits_text.of_disk(limits)
        elif number == EMFILE:
            yield f"A process of a run may have {getrlimit(RLIMIT_NOFILE)[0]} files and sockets open at once."
        elif (number == EAGAIN and "fork" in _last_line(error)) or _is_thread_refused(error):
            yield limits_text.of_pids(limits)
        elif issubclass(kind, FileNotFoundError) and str(_FILE_NAME(error)).startswith("/proc/"):
            yield (
                "A run sees its own processes in /proc, and nothing else of the machine. "
                f"It may use {limits.memory_bytes >> 20} MB of memory and {limits.cpus:g} CPUs."
            )
        elif issubclass(kind, ModuleNotFoundError):
            yield from _of_missing_module(error)
        elif issubclass(kind, SyntaxError):
            if str(_SYNTAX_TEXT(error)).lstrip().startswith(_FENCE):
                yield f"The script begins with a fence of Markdown ({_FENCE}). Send only the code between the fences."
        elif not limits.network:
            yield from _of_network(error, number)


def _of_missing_module(error: BaseException) -> Iterator[str]:
    """Hints at a module that is not installed. A missing part of a package (with a dot) gets none: the package is
    there.
    """
    name = _MODULE_NAME(error)
    if name == "airlock":
        yield "settings, memory, llm and set_result are there without an import."
    elif type(name) is str and "." not in name:
        yield (
            "A script can import the standard library and the packages of its project, "
            "which its operator lists in the project's file."
        )


def _of_network(error: BaseException, number: object) -> Iterator[str]:
    kind = type(error)
    said = _said(error)
    if NO_NETWORK in said:
        return
    if issubclass(kind, EOFError) and any("/multiprocessing/managers.py" in name for name, _ in _places(error)):
        yield f"multiprocessing.Manager needs sockets: {NO_NETWORK}. Its Pool, Queue and Value need none."
    elif (
        issubclass(kind, gaierror)
        or (number == EPERM and "socket" in _last_line(error))
        or (not issubclass(kind, SyntaxError) and _search_unresolved(said))
    ):
        yield NO_NETWORK_SENTENCE


def _said(error: BaseException) -> str:
    """The exception's message; only both ends of a long one, because the search takes time in proportion to its
    length.
    """
    text = str(error)
    return text if len(text) <= 2 * _END else f"{text[:_END]}\n{text[-_END:]}"


def _may_be_other(error: BaseException) -> bool:
    """Whether a MemoryError comes from a line that runs Python's parser, which also raises it for deeply nested code,
    or from a `raise`. For the script's own code there is no line.
    """
    line = _last_line(error)
    return type(error) is MemoryError and (not line or _search_parser(line) is not None)


def _is_thread_refused(error: BaseException) -> bool:
    return issubclass(type(error), RuntimeError) and str(error) == "can't start new thread"


def _places(error: BaseException) -> Iterator[tuple[str, int]]:
    where: TracebackType | None = _NEXT(error)
    while where is not None:
        yield where.tb_frame.f_code.co_filename, where.tb_lineno
        where = where.tb_next


def _last_line(error: BaseException) -> str:
    """The source line that raised the exception; empty when it is unknown."""
    places = list(_places(error))
    return source_line(*places[-1]) if places else ""
