"""What a script finds among its globals: `settings`, `memory`, `llm`, `set_result`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import getpid
from threading import Lock
from typing import Any

from .encode import encode
from .encode_keys import any_digits
from .json_path import NotJson
from .plain_json import text_of, value_of

MAX_PROMPT_BYTES = 1 << 20
MAX_MODEL_BYTES = 256


class ResultTooLarge(NotJson):
    """The value is fine, but its JSON text is longer than the project allows."""

    __module__ = "airlock"


class Settings:
    """The project's secrets, the request's settings and the project's own, in this order of precedence.

    Memory is never looked at: where a setting and a memory disagree, the setting wins.
    """

    def __init__(self, values: Mapping[str, str], descriptions: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._descriptions = dict(descriptions)

    def get(self, key: str) -> str | None:
        return self._values.get(key)

    def keys(self) -> list[str]:
        return sorted(self._values)

    def describe(self, key: str) -> str | None:
        """What kind of value `get` gives, in words for people and agents; None if nobody has it."""
        return self._descriptions.get(key, "a setting") if key in self._values else None

    def __repr__(self) -> str:
        # Values may be secrets, and a repr gets printed.
        return f"<settings {', '.join(self.keys())}>"


class Memory:
    """What the request carried, and what the script adds: `get` sees both, `updates` only the latter."""

    def __init__(self, carried: Mapping[str, Mapping[str, Any]], max_bytes: int, check: Callable[[str], None]) -> None:
        self._carried = carried
        self._updates: dict[str, dict[str, str]] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._bytes = 2
        self._max_bytes = max_bytes
        self._check = check

    def get(self, category: str, key: str) -> Any:
        text = self._updates.get(category, {}).get(key)
        if text is not None:
            return parse_json(text)
        return self._carried.get(category, {}).get(key)

    def set(self, category: str, key: str, value: Any) -> None:
        self._check("memory.set")
        names = []
        for name, text in (("category", category), ("key", key)):
            if not isinstance(text, str):
                raise TypeError(f"memory.set: {name} must be a str, not {type(text).__name__}")
            names.append(encode(text, name))
        value_text = encode(value, f"memory[{category!r}][{key!r}]")
        # As if each entry stood in a category of its own: never less than what is sent.
        size = len("".join([*names, value_text, ":{:},"]).encode())
        total = self._bytes + size - self._sizes.get((category, key), 0)
        if total > self._max_bytes:
            raise ResultTooLarge(f"memory updates would be {total} bytes of JSON; the limit is {self._max_bytes}")
        self._bytes = total
        self._sizes[category, key] = size
        self._updates.setdefault(category, {})[key] = value_text

    @property
    def has_updates(self) -> bool:
        return len(self._sizes) > 0

    def updates_json(self) -> str:
        def members(pairs: Mapping[str, str]) -> str:
            return "{" + ",".join(f"{encode(name, 'key')}:{text}" for name, text in pairs.items()) + "}"

        return members({category: members(entries) for category, entries in self._updates.items()})


class Llm:
    """Puts a question to the agent. The whole run is frozen until the answer comes."""

    def __init__(self, ask: Callable[[bytes], str], check: Callable[[str], None]) -> None:
        self._ask = ask
        self._check = check
        self._one_at_a_time = Lock()

    def complete(self, prompt: str, model: str = "default") -> str:
        self._check("llm.complete")
        for name, text, limit in (("prompt", prompt, MAX_PROMPT_BYTES), ("model", model, MAX_MODEL_BYTES)):
            if not isinstance(text, str):
                raise TypeError(f"llm.complete: {name} must be a str, not {type(text).__name__}")
            size = len(encode(text, name).encode())
            if size > limit + 2:
                raise ValueError(f"llm.complete: {name} is {size - 2} bytes long; the limit is {limit}")
        with self._one_at_a_time:
            return self._ask(text_of({"prompt": str.__str__(prompt), "model": str.__str__(model)}).encode())


class Result:
    """Keeps the JSON text of the last `set_result`, or why the last one failed."""

    def __init__(self, max_bytes: int, check: Callable[[str], None]) -> None:
        self.text: bytes | None = None
        self.problem: NotJson | None = None
        self._max_bytes = max_bytes
        self._check = check

    def set_result(self, data: Any) -> None:
        self._check("set_result")
        try:
            text = encode(data, "result").encode()
            if len(text) > self._max_bytes:
                raise ResultTooLarge(f"the result is {len(text)} bytes of JSON; the limit is {self._max_bytes}")
        except NotJson as problem:
            self.problem = problem
            raise
        except BaseException as error:
            self.problem = NotJson(f"set_result could not write the result: {type(error).__name__}")
            raise
        self.text, self.problem = text, None


def only_in_process(pid: int) -> Callable[[str], None]:
    """A process that the script forked has copies of all this which lead nowhere: better said than lost."""

    def check(call: str) -> None:
        if getpid() != pid:
            raise RuntimeError(f"{call} works only in the script's first process, not in one that it forked")

    return check


def parse_json(text: str) -> Any:
    with any_digits():
        return value_of(text)
