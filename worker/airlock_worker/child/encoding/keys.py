"""Writes keys of dicts, and labels of tables, as keys of JSON objects."""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from math import isfinite, isnan
from os import register_at_fork
from sys import get_int_max_str_digits, modules, set_int_max_str_digits
from types import TracebackType
from typing import Any

from .json_path import NotJson, whole
from .plain_json import text_of


def key_text(key: Any, convert: Callable[[Any], Any], called: str = "key") -> str:
    """The key as text: its own text, or its JSON text if its value is not a text. Raises NotJson; `called` names it
    there.

    All missing values become `null`, because pandas has several of them for one thing.
    """
    try:
        plain = _plain_number(key) if isinstance(key, float) else convert(key)
        return plain if isinstance(plain, str) else exact_text(plain)
    except NotJson as problem:
        raise NotJson(f"has the {called} {whole(_shown(key))}, but it{problem.sentence('')}") from None


def _plain_number(key: float) -> float | str | None:
    if isfinite(key):
        return float(key)
    if isnan(key):
        return None
    return "Infinity" if key > 0 else "-Infinity"


def _shown(key: Any) -> str:
    try:
        return repr(key)
    except Exception:
        return f"of type {full_name(type(key))}"


def is_missing(value: Any) -> bool:
    pandas = modules.get("pandas")
    return pandas is not None and (value is getattr(pandas, "NaT", pandas) or value is getattr(pandas, "NA", pandas))


def full_name(kind: type) -> str:
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def exact_text(plain: Any) -> str:
    """JSON text of a plain value, with all digits."""
    text: str = with_any_digits(text_of, plain)
    return text


def with_any_digits(convert: Callable[[Any], Any], value: Any) -> Any:
    """What `convert` gives. Lifts the interpreter's limit of digits only for values that need it, because the limit is
    also that of the script's other threads.
    """
    try:
        return convert(value)
    except ValueError:
        with any_digits():
            return convert(value)


class _Lifted:
    """The interpreter's limit of digits while threads are inside `any_digits`. The limit is the whole process's: the
    first thread lifts it, the last one restores it.
    """

    def __init__(self) -> None:
        # The lock is re-entrant, because a signal handler of the script may interrupt a thread here and store a value
        # itself.
        self.lock = RLock()
        self.inside = 0
        self.limit = 0
        self.follows_forks = False

    def forked(self) -> None:
        """In a process that the script forked: other threads that were inside are not there."""
        self.lock = RLock()
        if self.inside:
            self.inside = 0
            set_int_max_str_digits(self.limit)


_lifted = _Lifted()


class any_digits:
    """While entered, integers may have any length. The interpreter's limit protects from foreign text; this text is the
    script's own.
    """

    def __enter__(self) -> None:
        with _lifted.lock:
            if not _lifted.follows_forks:
                # Registered at the first use and not at import, because it would then run in the fork of each run
                # child, too.
                _lifted.follows_forks = True
                register_at_fork(after_in_child=_lifted.forked)
            if _lifted.inside == 0:
                _lifted.limit = get_int_max_str_digits()
                set_int_max_str_digits(0)
            _lifted.inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with _lifted.lock:
            _lifted.inside = max(0, _lifted.inside - 1)
            if _lifted.inside == 0:
                set_int_max_str_digits(_lifted.limit)


def keep_limit() -> None:
    """Lets no other thread change the interpreter's limit of digits from now on."""
    _lifted.lock.acquire()
