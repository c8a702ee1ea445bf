"""Which JSON text a value has, and what is said about a value that has none."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import json
import math
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import ChainMap, OrderedDict, deque, namedtuple
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock_worker.child.encoding.encode import encode
from airlock_worker.child.encoding.json_path import NotJson
from airlock_worker.child.encoding.keys import any_digits

from ..harness import WORKER_ROOT

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=30
)


@given(_VALUES)
def test_what_json_can_hold_comes_back_as_it_was(value: Any) -> None:
    back = json.loads(encode(value, "v"))
    # repr tells 1 from 1.0 from True and -0.0 from 0.0, which == does not.
    assert repr(back) == repr(value)


@dataclasses.dataclass
class Point:
    x: int
    inner: Any = None


class Colour(enum.Enum):
    RED = "red"


Pair = namedtuple("Pair", "a b")

TWO_LEVELS = pd.MultiIndex.from_tuples([("a", 1)])

# An integer level, in which one value is missing.
INTEGER_LEVEL = pd.MultiIndex.from_tuples([("x", 2**53 + 1), ("y", None)], names=["p", "q"])

EXACT: list[tuple[Any, str]] = [
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (5e-324, "5e-324"),
    (1e22, "1e+22"),
    (2**63 + 1, "9223372036854775809"),
    (10**5000, "1" + "0" * 5000),
    (True, "true"),
    ({1: "a", "2": "b"}, '{"1":"a","2":"b"}'),
    ({dt.date(2024, 2, 29): 1, np.int64(7): 2}, '{"2024-02-29":1,"7":2}'),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    ((1, [2]), "[1,[2]]"),
    (Pair(1, 2), "[1,2]"),
    ({10, 9, "a"}, '["a",10,9]'),
    (frozenset({(1, 2)}), "[[1,2]]"),
    ('é\n"\x00 ', '"é\\n\\"\\u0000 "'),
    (Point(1, Point(2)), '{"x":1,"inner":{"x":2,"inner":null}}'),
    (Colour.RED, '"red"'),
    (decimal.Decimal("1.10"), '"1.10"'),
    (dt.datetime(2024, 1, 2, 3, 4, 5), '"2024-01-02T03:04:05"'),
    (dt.datetime(2024, 1, 2, 3, 4, 5, 600, dt.UTC), '"2024-01-02T03:04:05.000600+00:00"'),
    (dt.date(2024, 1, 2), '"2024-01-02"'),
    (dt.time(3, 4), '"03:04:00"'),
    (dt.timedelta(days=1, hours=2, seconds=3, microseconds=500000), '"P1DT2H0M3.5S"'),
    (dt.timedelta(seconds=-90), '"-P0DT0H1M30S"'),
    (np.float64(0.1), "0.1"),
    (np.float32(0.1), "0.10000000149011612"),
    (np.int8(-3), "-3"),
    (np.uint64(2**64 - 1), "18446744073709551615"),
    (np.bool_(True), "true"),
    (np.str_("x"), '"x"'),
    (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
    (np.array(1.5), "1.5"),
    (np.array(["a", None], dtype=object), '["a",null]'),
    (np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"), '["2024-01-01",null]'),
    (np.datetime64("2024-01-01T00:00:00.5", "ns"), '"2024-01-01T00:00:00.500000"'),
    (np.datetime64("2024-01-01T00:00:00.000000001", "ns"), '"2024-01-01T00:00:00.000000001"'),
    (np.timedelta64(90, "m"), '"P0DT1H30M0S"'),
    (np.array([np.timedelta64(1, "D"), np.timedelta64("NaT")]), '["P1DT0H0M0S",null]'),
    (np.ma.array([1, 2], mask=[False, True]), "[1,null]"),
    (pd.Timestamp("2024-01-01T00:00:00.5Z"), '"2024-01-01T00:00:00.500000+00:00"'),
    (pd.Timedelta("1h 1ns"), '"P0DT1H0M0.000000001S"'),
    (pd.NaT, "null"),
    (pd.NA, "null"),
    (pd.Series([1, 2]), "[1,2]"),
    (pd.Series([1.5, 2.0], index=["a", "b"]), '{"a":1.5,"b":2.0}'),
    (pd.Series(["x", None], dtype="str"), '["x",null]'),
    (pd.Series([1, None], dtype="Int64"), "[1,null]"),
    (pd.Series(["a", "b"], dtype="category"), '["a","b"]'),
    (pd.Series([dt.date(2024, 1, 1)]), '["2024-01-01"]'),
    (pd.Series(pd.to_datetime(["2024-01-01", None])), '["2024-01-01T00:00:00",null]'),
    (pd.Series(pd.to_datetime(["2024-01-01"]).tz_localize("UTC")), '["2024-01-01T00:00:00+00:00"]'),
    (pd.DataFrame({"a": [1, 2], "b": [0.5, -0.0]}), '[{"a":1,"b":0.5},{"a":2,"b":-0.0}]'),
    (pd.DataFrame({"a": [1]}, index=["x"]), '[{"index":"x","a":1}]'),
    (pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name="key")), '[{"key":"x","a":1}]'),
    (pd.DataFrame({"a": [1]}, index=[5]), '[{"a":1}]'),
    (pd.DataFrame({"a": [1, 2]}).query("a > 1"), '[{"a":2}]'),
    (pd.DataFrame({"a": [1]}, index=pd.Index([5], name="id")), '[{"id":5,"a":1}]'),
    (pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])), None),  # type: ignore[list-item]
    (
        pd.DataFrame({"v": [1, 2]}, index=INTEGER_LEVEL),
        '[{"p":"x","q":9007199254740993,"v":1},{"p":"y","q":null,"v":2}]',
    ),
    (pd.Series([1, 2], index=INTEGER_LEVEL), '{"[\\"x\\",9007199254740993]":1,"[\\"y\\",null]":2}'),
    (pd.DataFrame([[1, 2]], columns=INTEGER_LEVEL), '[{"[\\"x\\",9007199254740993]":1,"[\\"y\\",null]":2}]'),
    (INTEGER_LEVEL, '[["x",9007199254740993],["y",null]]'),
    (pd.DataFrame({"a": []}), "[]"),
    (pd.DataFrame({0: [1], 1: ["x"]}), '[{"0":1,"1":"x"}]'),
    (pd.DataFrame([[1]], columns=TWO_LEVELS, index=["x"]), '[{"index":"x","[\\"a\\",1]":1}]'),
    (pd.Series([1, 2], index=pd.Index([7, 9], dtype="Int64")), "[1,2]"),
    (pd.Series([1, 2], index=pd.Index([7, 9], dtype=object)), '{"7":1,"9":2}'),
    (pd.Series([1], index=TWO_LEVELS), '{"[\\"a\\",1]":1}'),
    (pd.Series([1, 2], index=pd.Index([0.5, math.nan])), '{"0.5":1,"null":2}'),
    (pd.Series([1, 2], index=[False, True]), '{"false":1,"true":2}'),
    (pd.Series([1], index=pd.period_range("2024-01", periods=1, freq="M")), '{"2024-01":1}'),
    (pd.Series([1], index=pd.IntervalIndex.from_tuples([(0.5, math.inf)])), '{"(0.5, Infinity]":1}'),
    (pd.Series([1], index=pd.to_timedelta(["1h"])), '{"P0DT1H0M0S":1}'),
    (pd.Series([pd.Period("2024Q1"), pd.NaT]), '["2024Q1",null]'),
    (pd.cut([1, math.nan], [0, 2]), '["(0, 2]",null]'),
    (pd.Series(["a", math.nan], dtype="category"), '["a",null]'),
    (pd.Series(["a", "b", "a"]).unique(), '["a","b"]'),
    (pd.DataFrame({"a": [1], "b": [2]}).columns, '["a","b"]'),
    (pd.RangeIndex(2), "[0,1]"),
    (TWO_LEVELS, '[["a",1]]'),
    (np.ma.array(["2024-01-01", "2024-01-02"], mask=[False, True], dtype="datetime64[D]"), '["2024-01-01",null]'),
    (np.ma.array([[1.0, math.nan]], mask=[[False, True]]), "[[1.0,null]]"),
    ({True: 1, None: 2, 1.5: 3, (1, "x"): 4}, '{"true":1,"null":2,"1.5":3,"[1,\\"x\\"]":4}'),
    ({Colour.RED: 1, dt.timedelta(1): 2, math.inf: 3}, '{"red":1,"P1DT0H0M0S":2,"Infinity":3}'),
    ({decimal.Decimal("1.10"): 1, uuid.UUID(int=5): 2}, '{"1.10":1,"00000000-0000-0000-0000-000000000005":2}'),
    ([uuid.UUID(int=5), pathlib.Path("/a/b")], '["00000000-0000-0000-0000-000000000005","/a/b"]'),
    (ipaddress.ip_network("10.0.0.0/8"), '"10.0.0.0/8"'),
    ([deque([1, 2]), range(2), {1: 2}.keys(), {1: 2}.values()], "[[1,2],[0,1],[1],[2]]"),
    (ChainMap({"a": 1}), '{"a":1}'),
]


@pytest.mark.parametrize(("value", "text"), EXACT, ids=range(len(EXACT)))
def test_each_type_has_its_exact_text(value: Any, text: str | None) -> None:
    expected = text or '[{"level_0":"x","level_1":1,"v":1},{"level_0":"y","level_1":2,"v":2}]'
    assert encode(value, "result") == expected


def _endless() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def _row() -> Any:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    return connection.execute("select 1 as a").fetchone()


PROBLEMS: list[tuple[Any, str]] = [
    ({"rows": pd.DataFrame({"price": [1, 2, 3, math.nan]})}, 'result["rows"][3].price is NaN, which JSON cannot hold'),
    ([1.0, math.inf], "result[1] is infinite"),
    (np.array([[0.0, math.nan]]), "result[0][1] is NaN"),
    (pd.DataFrame({"unit price": [math.nan]}), 'result[0]["unit price"] is NaN'),
    ({"a": [b"x"]}, 'result["a"][0] is of type bytes, which has no JSON form; decode it'),
    ({"a": {1, b"x"}}, 'result["a"] has an element that is of type bytes'),
    ({(1, b"x")}, "result has an element whose [1] is of type bytes"),
    ([pd.Series([0.0, math.nan], index=["a", "b"])], 'result[0]["b"] is NaN'),
    (pd.Series([0.0, math.nan], index=[5, 6]), "result[1] is NaN"),
    (pd.DataFrame({"a": [[1], [b"x"]]}), "result[1].a[0] is of type bytes"),
    (pd.Series([1], index=[b"x"]), "result has the label b'x', but it is of type bytes"),
    (pd.DataFrame({b"x": [1]}), "result has the column b'x', but it is of type bytes"),
    (pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name="a")), "give it another name with rename_axis()"),
    (decimal.Decimal("NaN"), "result is NaN, which JSON cannot hold; pass nan=None"),
    ([decimal.Decimal("sNaN")], "result[0] is NaN"),
    ({"a": decimal.Decimal("-Infinity")}, 'result["a"] is infinite'),
    (np.dtype("int8"), "which has no JSON form; use str()"),
    ((n for n in [1]), "result is of type generator, which has no JSON form; wrap it in list()"),
    (_row(), "is of type sqlite3.Row, which has no JSON form; use dict(row)"),
    (Point(1, object()), "result.inner is of type object"),
    (Point, "is of type type"),
    (1j, "is of type complex"),
    ({b"x": 3}, "result has the key b'x', but it is of type bytes, which has no JSON form; decode it"),
    ({"a": {(1, b"x"): 3}}, "result[\"a\"] has the key (1, b'x'), but it[1] is of type bytes"),
    ({None: 1, math.nan: 2}, 'result has two keys that are "null" in JSON'),
    ({True: 1, "true": 2}, 'result has two keys that are "true" in JSON'),
    ({1: "a", "1": "b"}, 'result has two keys that are "1" in JSON'),
    ({"a": "\ud800"}, "lone surrogate"),
    ({"\udfff": 1}, "lone surrogate"),
    (_endless(), 'result[1]["again"] contains itself'),
    (_deep(201), "is nested deeper than 200 levels"),
    (np.array([1j]), "dtype complex128"),
    (np.array([b"x"]), "dtype |S1"),
    (np.longdouble(1) / 3, "would lose digits"),
    (pd.Series([1, 2], index=["a", "a"]), "two labels that are 'a'"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns that are 'a'"),
]


@pytest.mark.parametrize(("value", "words"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_what_has_no_json_form_is_named_with_its_place(value: Any, words: str) -> None:
    with pytest.raises(NotJson) as caught:
        encode(value, "result")
    assert words in str(caught.value)
    assert str(caught.value).startswith("result")


@pytest.mark.parametrize("index", [None, [4, 2, 9], list("xyz"), [0.5, 1.5, 2.5], pd.Index([4, 2, 9], name="id")])
def test_the_shape_of_a_table_follows_its_index_and_not_its_data(index: Any) -> None:
    frame = pd.DataFrame({"a": [3, 1, 2], "b": ["u", "v", "w"]}, index=index)
    parts = [frame, frame.sort_values("a"), frame.sort_index(), frame.head(1), frame.tail(1), frame[frame.a > 1]]
    rows = [json.loads(encode(part, "result")) for part in parts]
    assert len({tuple(row) for part in rows for row in part}) == 1
    columns = [*parts, frame[frame.a > 9]]
    assert len({type(json.loads(encode(part.a, "result"))) for part in columns}) == 1


def test_keys_are_written_as_the_documentation_says() -> None:
    text = (WORKER_ROOT.parent / "docs" / "results.md").read_text()
    rows = re.findall(r"^\| `(.+)` \| `(.+)` \|$", text.partition("## Keys and labels")[2].partition("##")[0], re.M)
    assert len(rows) == 13
    names = {"Decimal": decimal.Decimal, "date": dt.date, "timedelta": dt.timedelta, "pandas": pd}
    for key, expected in rows:
        assert encode({eval(key, names): 0}, "result") == f"{{{expected}:0}}"


def test_nan_is_null_where_the_script_says_so() -> None:
    frame = pd.DataFrame({"a": [1.5, math.nan], "b": pd.Series(["x", math.nan], dtype=object)})
    assert encode(frame, "result", nan_is_null=True) == '[{"a":1.5,"b":"x"},{"a":null,"b":null}]'
    values = [math.nan, np.float32("nan"), decimal.Decimal("NaN"), np.array([[math.nan]])]
    assert encode(values, "result", nan_is_null=True) == "[null,null,null,[[null]]]"
    with pytest.raises(NotJson, match="is infinite"):
        encode([math.inf], "result", nan_is_null=True)


def test_two_hundred_levels_are_allowed() -> None:
    assert encode(_deep(200), "result") == "[" * 200 + "0" + "]" * 200


def test_the_same_value_twice_is_no_cycle() -> None:
    shared = [1]
    assert encode([shared, shared], "result") == "[[1],[1]]"


def test_the_digit_limit_of_the_interpreter_is_as_before() -> None:
    before = sys.get_int_max_str_digits()
    encode(10**5000, "result")
    assert sys.get_int_max_str_digits() == before


def test_the_digit_limit_is_lifted_until_the_last_thread_has_its_text() -> None:
    before = sys.get_int_max_str_digits()
    first, second = any_digits(), any_digits()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert len(str(10**5000)) == 5001
    if (pid := os.fork()) == 0:
        # The threads that are inside are not in this process.
        os._exit(0 if sys.get_int_max_str_digits() == before else 1)
    assert os.waitpid(pid, 0)[1] == 0
    second.__exit__(None, None, None)
    assert sys.get_int_max_str_digits() == before


def test_a_large_table_is_quick() -> None:
    rows = 100_000
    columns = {"i": range(rows), "f": np.random.rand(rows), "s": ["text"] * rows, "b": [True] * rows, "g": range(rows)}
    frame = pd.DataFrame(columns)
    started = time.process_time()
    text = encode(frame, "result")
    assert time.process_time() - started < 2.0
    assert text.count("{") == rows


def test_encoding_imports_neither_numpy_nor_pandas() -> None:
    program = (
        "import sys; from airlock_worker.child.encoding.encode import encode; encode([{1, 2}], 'v');"
        "print([m for m in ('numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=WORKER_ROOT, check=True)
    assert done.stdout == b"[]\n"
