"""What is held to be JSON of a text that a run child sent, and what the worst texts cost the supervisor."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airlock_worker.supervisor.run.json_check import MAX_DEPTH, is_memory, problem_of, texts_of

WORKER = Path(__file__).parents[2]

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
    "an empty array one level too deep": (b"[" * 200 + b"[ ]" + b"]" * 200, "deeper than 200"),
    "an array that ends as an object": (b"[[1, [1]}", "not JSON"),
    "arrays that end more often than they begin": (b"[[1, [1]]]]", "not JSON"),
    "an object that ends as arrays": (b'{"a": [1, [2]]]', "not JSON"),
    "a comma before the end": (b"[1, 2, ]", "not JSON"),
    "a member without a key": (b'{"a": 1, 2}', "not JSON"),
    "an item with a key": (b'[1, "a": 2]', "not JSON"),
    "two values": (b"[] []", "not JSON"),
    "no value": (b" ", "not JSON"),
    "a number that begins with 0": (b"[01]", "not JSON"),
    "an unknown escape": (rb'["\x"]', "not JSON"),
    "an unescaped line break": (b'["\n"]', "not JSON"),
    "bytes that are no UTF-8": (b'["\xff"]', "not JSON"),
    "half a character of UTF-8": (b'["' + b"\xc3", "not JSON"),
    "one key twice, escaped once": (b'{"b": [1], "a": [[2, 3]], "\\u0061": {}}', "one key twice"),
    "one of many keys twice": (
        b"{" + b",".join(b'"%d": [1, 2]' % (number % 5_000) for number in range(5_001)) + b"}",
        "one key twice",
    ),
}
ACCEPTED = {
    "a pair": rb'"\ud83d\ude00"',
    "an escaped backslash before what looks like half a character": rb'"\\ud800"',
    "a backslash and an underscore for each as keys": rb'{"\\": 1, "__": 2}',
    "all levels": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    "many keys": b"{" + b",".join(b'"%d": [1, 2]' % number for number in range(5_000)) + b"}",
    "one key in many objects": b'{"a": [{"a": {"a": 1, "b": {}}}, {"a": 1}, {"a": []}], "b": {"a": 1}}',
    "blanks": b' [ [ ] , { } , { "a" : [ 1 , [ ] ] } , [ [ 1 , 2 ] ] , -0 , 1.5E+3 , true ]\r\n',
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
    "pairs of members": "b'[' + b'{\"\":0,\"a\":0},' * (N // 13) + b'0]'",
    "keys": "b'{' + b','.join(b'\"%06x\":0' % key for key in range(N // 11)) + b'}'",
    "levels of arrays": "b'[' + (b'[' * 100 + b']' * 100 + b',') * (N // 201) + b'1]'",
    "levels of objects": "b'[' + (b'{\"a\":' * 99 + b'1' + b'}' * 99 + b',') * (N // 600) + b'1]'",
    "blanks": "b'[1' + b' ' * N + b'x'",
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
from airlock_worker.supervisor.run.json_check import problem_of
N = 10 << 20
text = {text}
with open("/proc/self/statm") as file:
    most = int(file.read().split()[0]) * resource.getpagesize() + (64 << 20)
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_AS, (most, most))
problem_of(text)
"""
    subprocess.run([sys.executable, "-c", code], cwd=WORKER, check=True, timeout=120)


def test_any_text_is_judged_as_the_json_module_does() -> None:
    choose = random.Random(20261201)
    parts = [
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        '"a"',
        '"a":',
        '"\\u0061":',
        "1",
        "-0",
        "1.",
        " ",
        "true",
        "NaN",
        '"',
        "\\",
        "[]",
        "{}",
    ]

    def value(levels: int) -> str:
        if levels == 0 or choose.random() < 0.3:
            return choose.choice(["1", '"a"', "null", r'"\\\""', '"é"'])
        values = [value(levels - 1) for _ in range(choose.randrange(4))]
        if choose.random() < 0.5:
            return f"[{', '.join(values)}]"
        return "{" + ",".join(f'"{choose.choice("abcdef")}" :{each}' for each in values) + "}"

    accepted = 0
    for _ in range(5_000):
        text = value(choose.randrange(5))
        for _ in range(choose.randrange(3)):
            at = choose.randrange(len(text))
            text = text[:at] + choose.choice(parts) + text[at + choose.randrange(2) :]
        is_json = _is_json(text)
        accepted += is_json
        assert (problem_of(text.encode()) is None) == is_json, text
    assert 1_000 < accepted < 4_500


def _is_json(text: str) -> bool:
    def once(pairs: list[tuple[str, object]]) -> None:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("one key twice")

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (rb'{"prompt": "\u0061\"", "model":""}', {"prompt": 'a"', "model": ""}),
        (b'{"a": "b"}', None),
        (b'{"a": "b", "c": []}', None),
        (b'{"a": "b", "c": "d", "e": [[[]]]}', None),
        (b'["a", "b"]', None),
        (b'{"a": "\xff", "c": "d"}', None),
        (rb'{"a": "\x", "c": "d"}', None),
    ],
)
def test_two_texts_and_nothing_else(text: bytes, members: dict[str, str] | None) -> None:
    assert texts_of(text, 2) == members


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


N = 8 << 20
LONG_PIECES = {
    "digits": b"[" + b"1" * N,
    "digits behind a point": b"[1." + b"1" * N,
    "blanks": b"[" + b" " * N + b"x",
    "a string without end": b'["' + b"a" * N,
    "characters beyond U+FFFF": b'"' + rb"\ud83d\ude00" * (N // 12) + b'"',
    "half of one at the end": b'"' + rb"\ud83d\ude00" * (N // 12) + rb'\ud83d"',
}


@pytest.mark.parametrize("name", LONG_PIECES)
def test_a_long_piece_of_a_text_is_gone_through_a_few_times_and_not_given_back(name: str) -> None:
    """As long as a pattern is being matched no other thread of the supervisor runs."""
    began = time.thread_time()
    assert re.fullmatch(rb"(?:[0-9][0-9])*+", b"1" * N)
    scan_s = time.thread_time() - began
    began = time.thread_time()
    problem_of(LONG_PIECES[name])
    assert time.thread_time() - began < 8 * scan_s, scan_s
