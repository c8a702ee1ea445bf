"""What is held to be JSON of a text that a run child sent, and what the worst texts cost the supervisor."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from airlock_worker.json_check import MAX_DEPTH, is_memory, problem_of

WORKER = Path(__file__).parent.parent

REFUSED = {
    "half a character": (rb'"\ud800"', "half a character"),
    "half a character behind an escaped backslash": (rb'"\\\ud800"', "half a character"),
    "two halves with a backslash between them": (rb'"\ud83d\\\ude00"', "half a character"),
    "a string without end": (b'"' + rb"\"" * 9, "not JSON"),
    "an escape without end": (b'"\\', "not JSON"),
    "one key twice": (b'{"a": 1, "\\u0061": 2}', "one key twice"),
    "NaN": (b"[NaN]", "NaN"),
    "one level too many": (b"[" * 201 + b"]" * 201, "deeper than 200"),
    "objects and arrays in turn": (b'{"a":[' * 101 + b"]}" * 101, "deeper than 200"),
    "many levels": (b"[" * 100_000 + b"]" * 100_000, "deeper than 200"),
}
ACCEPTED = {
    "a pair": rb'"\ud83d\ude00"',
    "an escaped backslash before what looks like half a character": rb'"\\ud800"',
    "a backslash and an underscore for each as keys": rb'{"\\": 1, "__": 2}',
    "all levels": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    "brackets in strings": json.dumps(["[" * 500, '"[' * 500, "\\[" * 500, '\\"[' * 500]).encode(),
    "a number of any length": b"1" * 10_000,
}

# Each of the size of a result at its limit.
WORST = {
    "a string of escapes without end": r"""b'"' + b'\\"' * (N // 2)""",
    "backslashes": r"""b'"' + b'\\' * N""",
    "quotes": r"""b'"' * N""",
    "halves of characters": r"""b'"' + b'\\ud800' * (N // 6)""",
    "escapes of three backslashes": r"""b'"' + b'\\\\\\ud800' * (N // 8)""",
    "brackets": "b'[' * N",
    "empty arrays": "b'[' + b'[],' * (N // 3) + b'[]]'",
    "empty objects": "b'[' + b'{},' * (N // 3) + b'{}]'",
    "members": "b'[' + b'{\"\":0},' * (N // 7) + b'0]'",
    "digits": "b'1' * N",
}


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(text: bytes, problem: str) -> None:
    assert problem in (problem_of(text) or "")


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_accepted(text: bytes) -> None:
    assert problem_of(text) is None


def test_any_value_is_accepted_to_its_depth() -> None:
    choose = random.Random(20261130)
    letters = ['"', "\\", "[", "]", "{", "}", "u", "d", "8", "é", "😀", "\n", "_"]

    def value(levels: int) -> object:
        if levels == 0:
            return choose.choice([None, True, 1.5, "".join(choose.choices(letters, k=choose.randrange(12)))])
        inner = value(levels - 1)
        return [inner, ""] if choose.random() < 0.5 else {"".join(choose.choices(letters, k=5)): inner}

    for levels in range(MAX_DEPTH - 5, MAX_DEPTH + 6):
        for ascii_only in (True, False):
            text = json.dumps(value(levels), ensure_ascii=ascii_only).encode()
            assert (problem_of(text) is None) == (levels <= MAX_DEPTH), text


@pytest.mark.parametrize("text", WORST.values(), ids=WORST)
def test_no_text_takes_more_than_some_seconds_or_much_memory(text: str) -> None:
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))
from airlock_worker.json_check import problem_of
N = 10 << 20
problem_of({text})
"""
    subprocess.run([sys.executable, "-c", code], cwd=WORKER, check=True, timeout=120)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (b"{}", True),
        (b'{"a": {}}', True),
        (b'{"a": {"k": 1, "l": [{}]}, "b": {"k": {"deeper": {"x": 1}}}}', True),
        (b'{"a": {"k": {}}}', True),
        (b"[]", False),
        (b"[{}]", False),
        (b"1", False),
        (b'{"a": 1}', False),
        (b'{"a": {}, "b": [{}]}', False),
        (b'{"a": null}', False),
    ],
)
def test_a_memory_is_categories_of_keys(text: bytes, is_one: bool) -> None:
    assert is_memory(text) == is_one
