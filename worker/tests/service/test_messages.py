"""Airlock's own sentences hold a value whole or not at all: a part of a secret is not found where texts are cleaned."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import airlock_worker

from ..harness import Worker

PACKAGE = Path(airlock_worker.__file__).parent
# Digits behind a point are no part of a text.
OF_NUMBERS = re.compile(r"\.\d+[eEfFgG%]$")
IN_OLD_FORMATS = re.compile(r"%[-+ #0]*\d*\.\d+[sra]|\{[^{}]*:[^{}]*\.\d+s?\}")
SHORTENERS = {"shorten", "reprlib", "Repr"}
# Of a long text the ends stand for all of it until its middle comes back, and are searched for what to hint at.
ENDS = ["{text[:_END]}", "{text[-_END:]}"]
NOT_SHOWN = {"long_texts.py": ENDS, "hints.py": ENDS}


def cuts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FormattedValue(value=value, format_spec=spec):
                text = "" if spec is None else ast.unparse(spec)[2:-1]
                if "." in text and not OF_NUMBERS.search(text):
                    yield ast.unparse(node)
                if any(isinstance(part, ast.Slice) for part in ast.walk(value)):
                    yield ast.unparse(node)
            case ast.Constant(value=str(text)) if IN_OLD_FORMATS.search(text):
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) if name in SHORTENERS:
                yield name


def test_no_message_of_the_worker_cuts_what_it_shows() -> None:
    found = {path.name: list(cuts(ast.parse(path.read_text()))) for path in PACKAGE.rglob("*.py")}
    assert {name: texts for name, texts in found.items() if texts} == NOT_SHOWN


@pytest.mark.parametrize(
    "code",
    [
        "f'{key!r:.80}'",
        "f'{key[:80]}'",
        "f'{key:>{width}.8}'",
        "'%.80s' % key",
        "'{:.80}'.format(key)",
        "import reprlib",
    ],
)
def test_what_would_cut_is_found(code: str) -> None:
    assert list(cuts(ast.parse(code)))


def test_digits_behind_a_point_are_no_cut() -> None:
    assert not list(cuts(ast.parse("f'{seconds:.3f} {share:.1%} {name!r:>80}'")))


LONG = "sk-" + "".join(chr(97 + at * 7 % 26) for at in range(200))
WITH_LONG_KEYS = [
    f"set_result({{('{LONG}', object()): 1}})",
    f"set_result({{b'{LONG}': 1}})",
    f"set_result({{'{LONG}': object()}})",
    f"memory.set('a', 'b', {{b'{LONG}': 1}})",
    f"class K: __repr__ = lambda self: '{LONG}'\nset_result({{K(): 1}})",
]


@pytest.mark.parametrize("code", WITH_LONG_KEYS)
async def test_a_long_key_is_named_by_its_length(shared: Worker, code: str) -> None:
    ended = await shared.run(f"try:\n    {code.replace(chr(10), chr(10) + '    ')}\nexcept ValueError as e: print(e)")
    said = ended.stdout.decode()
    assert "characters" in said
    assert not any(LONG[at : at + 8] in said for at in range(len(LONG) - 8))


async def test_two_equal_labels_of_a_table_are_named_by_their_length() -> None:
    pandas = pytest.importorskip("pandas")
    from airlock_worker.child.encoding.encode import encode
    from airlock_worker.child.encoding.json_path import NotJson

    for value in (
        pandas.Series([1, 2], index=[LONG, LONG]),
        pandas.DataFrame([[1, 2]], columns=[LONG, LONG]),
    ):
        with pytest.raises(NotJson, match=r"one of 2\d\d characters") as caught:
            encode(value, "result")
        assert not any(LONG[at : at + 8] in str(caught.value) for at in range(len(LONG) - 8))
