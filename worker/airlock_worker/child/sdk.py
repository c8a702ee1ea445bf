"""The objects that a script finds among its globals: `settings`, `memory`, `llm`, `set_result`."""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable, Iterator, Mapping
from os import getpid
from typing import Any

from ..wire.limits import MAX_MODEL_BYTES, MAX_PROMPT_BYTES
from .encoding.encode import encode
from .encoding.json_path import NotJson
from .encoding.keys import with_any_digits
from .encoding.plain_json import sorted_of, text_of, value_of


class ResultTooLarge(NotJson):
    """The value is fine, but its JSON text is longer than the project allows."""

    __module__ = "airlock"


class Settings:
    """The project's secrets, the request's settings and the project's own, in this order of precedence.

    Memory is never looked at: where a setting and a memory disagree, the setting wins.
    """

    def __init__(self, plain: Mapping[str, str], secrets: Mapping[str, str], descriptions: Mapping[str, str]) -> None:
        # Settings and secrets are in two dictionaries, because the size of a common one would depend on the number of
        # secrets, and would move the script's objects.
        self._plain = plain
        self._secrets = secrets
        self._descriptions = descriptions

    def get(self, key: str, default: Any = None) -> Any:
        return self._secrets[key] if key in self._secrets else self._plain.get(key, default)

    def keys(self) -> list[str]:
        return sorted({*self._plain, *self._secrets})

    def __getitem__(self, key: str) -> str:
        if key not in self:
            raise KeyError(f"{key} is not a setting of this run; settings.keys() lists the settings")
        return self._secrets[key] if key in self._secrets else self._plain[key]

    def __contains__(self, key: object) -> bool:
        return key in self._secrets or key in self._plain

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def describe(self, key: str) -> str | None:
        """A description of the value that `get` returns, for people and agents; None if there is no such setting."""
        return self._descriptions.get(key, "a setting") if key in self else None

    def __repr__(self) -> str:
        # Only names are shown, because values may be secrets, and a repr gets printed.
        return f"<settings {', '.join(self.keys())}>"


class Memory:
    """The request's memory and the script's changes. `get` sees both; only the changes are sent to the caller.

    An entry that is None counts as missing, so that the caller can tell from `memory_updates` what was deleted.
    """

    def __init__(self, carried: Mapping[str, Mapping[str, Any]], max_bytes: int, check: Callable[[str], None]) -> None:
        self._carried = carried
        # What the script has set, as JSON texts, by category and key.
        self._updates: dict[str, dict[str, str]] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        # Why the last `set` of an entry failed, by category and key.
        self._failures: dict[tuple[str, str], NotJson] = {}
        self._bytes = 2
        self._max_bytes = max_bytes
        self._check = check
        # The lock is re-entrant, because a signal handler may interrupt the thread that holds it, and call `set` too.
        self._lock = RLock()

    def get(self, category: str, key: str, default: Any = None) -> Any:
        text = self._updates.get(category, {}).get(key)
        value = self._carried.get(category, {}).get(key) if text is None else parse_json(text)
        return default if value is None else value

    def keys(self, category: str | None = None) -> list[str]:
        """The keys of a category; without one, the categories that have any."""
        if category is None:
            return sorted(name for name in {*self._carried, *self._updates} if self.keys(name))
        there = {key: value is not None for key, value in self._carried.get(category, {}).items()}
        there |= {key: text != "null" for key, text in self._updates.get(category, {}).items()}
        return sorted(key for key, is_there in there.items() if is_there)

    def set(self, category: str, key: str, value: Any, *, nan: Any = ...) -> None:
        self._check("memory.set")
        try:
            self._set(category, key, value, nan)
        except BaseException as error:
            self._note_failure(category, key, error)
            raise

    def _set(self, category: str, key: str, value: Any, nan: Any) -> None:
        names = []
        for name, text in (("category", category), ("key", key)):
            if not isinstance(text, str):
                raise TypeError(f"memory.set: {name} must be a str, not {type(text).__name__}")
            names.append(encode(text, name))
        value_text = encode(value, f"memory[{category!r}][{key!r}]", _nan_is_null("memory.set", nan))
        # The size of an entry is counted as if it had a category of its own, which is never less than the bytes that
        # are sent.
        size = len("".join([*names, value_text, ":{:},"]).encode())
        with self._lock:
            total = self._bytes + size - self._sizes.get((category, key), 0)
            if total > self._max_bytes:
                raise ResultTooLarge(f"memory updates would be {total} bytes of JSON; the limit is {self._max_bytes}")
            self._bytes = total
            self._sizes[category, key] = size
            self._updates.setdefault(category, {})[key] = value_text
            self._failures.pop((category, key), None)

    def _note_failure(self, category: str, key: str, error: BaseException) -> None:
        """Remembers the failure where the entry has an earlier value, because that would be taken for the new one."""
        if isinstance(category, str) and isinstance(key, str) and self.get(category, key) is not None:
            kind = ResultTooLarge if issubclass(type(error), ResultTooLarge) else NotJson
            why = str(error) if issubclass(type(error), NotJson) else f"it raised {type(error).__name__}"
            with self._lock:
                # A new exception, because the first one keeps the objects of its traceback from ending.
                self._failures[category, key] = kind(f"The last memory.set({category!r}, {key!r}, …) failed: {why}")

    def delete(self, category: str, key: str) -> None:
        """Deletes an entry; `memory_updates` has null for it."""
        self.set(category, key, None)


def failure_of(memory: Memory) -> NotJson | None:
    """Why the last `set` of an entry failed, as a sentence, while the entry has an earlier value."""
    with memory._lock:
        return next(iter(memory._failures.values()), None)


def keep_memory(memory: Memory) -> None:
    """Lets no other thread set values from now on."""
    memory._lock.acquire()


def updates_of(memory: Memory) -> str | None:
    """JSON text of the entries that the script has set; None if it has set none."""

    def members(pairs: Mapping[str, str]) -> str:
        return "{" + ",".join(f"{encode(name, 'key')}:{text}" for name, text in pairs.items()) + "}"

    with memory._lock:
        # A thread that the script left behind may set more values after this, and these are not sent.
        updates = memory._updates
        return members({category: members(entries) for category, entries in updates.items()}) if updates else None


class Llm:
    """Puts a question to the agent. The whole run is frozen until the answer comes."""

    def __init__(self, ask: Callable[[bytes], str], check: Callable[[str], None]) -> None:
        self._ask = ask
        self._check = check
        self._one_at_a_time = RLock()

    def complete(self, prompt: str, model: str = "default") -> str:
        self._check("llm.complete")
        for name, text, limit in (("prompt", prompt, MAX_PROMPT_BYTES), ("model", model, MAX_MODEL_BYTES)):
            if not isinstance(text, str):
                raise TypeError(f"llm.complete: {name} must be a str, not {type(text).__name__}")
            size = len(encode(text, name).encode())
            if size > limit + 2:
                raise ValueError(f"llm.complete: {name} is {size - 2} bytes long; the limit is {limit}")
        if self._one_at_a_time._is_owned():  # type: ignore[attr-defined]
            raise RuntimeError(
                "llm.complete: this thread already waits for a response, and a signal handler that interrupts it "
                "cannot make another llm request. Make it when the first response has come."
            )
        with self._one_at_a_time:
            return self._ask(text_of({"prompt": str.__str__(prompt), "model": str.__str__(model)}).encode())


class Result:
    """Keeps the JSON text of the last `set_result`, or why the last one failed."""

    def __init__(self, max_bytes: int, check: Callable[[str], None]) -> None:
        self.text: bytes | None = None
        self.problem: NotJson | None = None
        self._max_bytes = max_bytes
        self._check = check

    def set_result(self, data: Any, *, nan: Any = ...) -> None:
        self._check("set_result")
        try:
            text = encode(data, "result", _nan_is_null("set_result", nan)).encode()
            if len(text) > self._max_bytes:
                raise ResultTooLarge(f"the result is {len(text)} bytes of JSON; the limit is {self._max_bytes}")
        except NotJson as problem:
            self.problem = problem
            raise
        except BaseException as error:
            self.problem = NotJson(f"set_result could not write the result: {type(error).__name__}")
            raise
        self.text, self.problem = text, None


def set_result_of(result: Result) -> Callable[..., None]:
    """The function `set_result` for a script. Not a method, so that errors about its arguments count them as the script
    does.
    """

    def set_result(data: Any, *, nan: Any = ...) -> None:
        result.set_result(data, nan=nan)

    set_result.__qualname__ = set_result.__name__
    return set_result


def _nan_is_null(call: str, nan: Any) -> bool:
    """Whether NaN is written as null. Raises TypeError for a `nan` other than None."""
    if nan is not None and nan is not ...:
        raise TypeError(f"{call}: nan can only be None, which writes each NaN as null")
    return nan is None


def only_in_process(pid: int) -> Callable[[str], None]:
    """A check that raises RuntimeError in a process that the script forked, because calls there would lead nowhere."""

    def check(call: str) -> None:
        if getpid() != pid:
            raise RuntimeError(f"{call} works only in the script's first process, not in one that it forked")

    return check


def canonical_json(value: Any) -> str:
    """JSON text that is the same for equal values of `parse_json`."""
    text: str = with_any_digits(sorted_of, value)
    return text


def parse_json(text: str) -> Any:
    return with_any_digits(value_of, text)
