"""Turns values of numpy and pandas into plain ones. Neither package is imported here: if the script has not imported
it, no value of it exists.
"""

from __future__ import annotations

from sys import modules
from typing import Any, Protocol

from .json_path import NotJson, at_attribute, at_item, whole
from .keys import is_missing, key_text
from .time import duration_of, trim_fraction


class Converter(Protocol):
    def convert(self, value: Any) -> Any: ...
    def nested_items(self, value: Any, items: list[Any]) -> list[Any]: ...


def convert(value: Any, plain: Converter) -> tuple[bool, Any]:
    """Whether the value is of numpy or pandas, and its plain form."""
    if is_missing(value):
        return True, None
    numpy, pandas = modules.get("numpy"), modules.get("pandas")
    # `hasattr` is asked, because `pandas` may be half imported, or be a module of the script's own with that name.
    if pandas is not None and hasattr(pandas, "DataFrame"):
        if isinstance(value, pandas.DataFrame):
            return True, _rows(value, plain)
        if isinstance(value, pandas.Series):
            return True, _series(value, plain)
        if isinstance(value, (pandas.Index, pandas.api.extensions.ExtensionArray)):
            return True, _column(_exact(value), plain)
        if isinstance(value, pandas.Period):
            return True, str(value)
        if isinstance(value, pandas.Interval):
            return True, _interval(value, plain)
    if numpy is not None and hasattr(numpy, "ndarray"):
        if isinstance(value, numpy.ma.MaskedArray):
            return True, _masked(numpy, value, plain)
        if isinstance(value, numpy.ndarray):
            return True, _array(numpy, value, plain)
        if isinstance(value, numpy.generic):
            return True, _scalar(numpy, value, plain)
    return False, None


def _scalar(numpy: Any, value: Any, plain: Converter) -> Any:
    return _array(numpy, numpy.asarray(value), plain)


def _masked(numpy: Any, array: Any, plain: Converter) -> Any:
    # Masked items are replaced by zeros first, because their values may be anything, also values that JSON cannot hold.
    items = _array(numpy, array.filled(numpy.zeros((), array.dtype)[()]), plain)
    return _without(items, numpy.ma.getmaskarray(array).tolist())


def _without(items: Any, masked: Any) -> Any:
    if isinstance(masked, list):
        return [_without(item, mask) for item, mask in zip(items, masked, strict=True)]
    return None if masked else items


def _interval(interval: Any, plain: Converter) -> str:
    left, right = key_text(interval.left, plain.convert), key_text(interval.right, plain.convert)
    return f"{'[' if interval.closed_left else '('}{left}, {right}{']' if interval.closed_right else ')'}"


def _array(numpy: Any, array: Any, plain: Converter) -> Any:
    kind = array.dtype.kind
    if kind in "biu":
        return array.tolist()
    if kind == "f":
        return _floats(numpy, array, plain)
    if kind == "M":
        return _each(array, lambda text: None if text == "NaT" else trim_fraction(text), array.astype(str).tolist())
    if kind == "m":
        return _durations(numpy, array)
    if kind in "OUT":
        items = array.tolist()
        return plain.nested_items(array, items) if array.ndim else plain.convert(items)
    raise NotJson(f"is a numpy value of dtype {array.dtype}, which has no JSON form; convert it with .astype()")


def _floats(numpy: Any, array: Any, plain: Converter) -> Any:
    doubles = array.astype(numpy.float64)
    if array.dtype.itemsize > 8 and not numpy.array_equal(doubles.astype(array.dtype), array, equal_nan=True):
        raise NotJson(f"is of dtype {array.dtype}, and a JSON number would lose digits; convert it with .astype(float)")
    items = doubles.tolist()
    if not numpy.isfinite(doubles).all():
        # Items are converted one by one, which is slower: a NaN becomes null if the script asked for that, and
        # otherwise the error names the item.
        return plain.nested_items(array, items) if array.ndim else plain.convert(items)
    return items


def _durations(numpy: Any, array: Any) -> Any:
    unit = numpy.datetime_data(array.dtype)[0]
    if unit in ("Y", "M", "generic", "ps", "fs", "as"):
        raise NotJson(f"is of dtype {array.dtype}, which has no length in days and nanoseconds")
    per_unit = int(numpy.timedelta64(1, unit) / numpy.timedelta64(1, "ns")) * numpy.datetime_data(array.dtype)[1]
    missing = numpy.iinfo(numpy.int64).min
    counts = array.astype(numpy.int64).tolist()
    return _each(array, lambda count: None if count == missing else duration_of(count * per_unit), counts)


def _each(array: Any, write: Any, items: Any, depth: int = 0) -> Any:
    """Applies `write` to the innermost items of nested lists of the array's shape."""
    if depth == array.ndim:
        return write(items)
    return [_each(array, write, item, depth + 1) for item in items]


def _is_row_numbers(index: Any) -> bool:
    """Whether an index only numbers the rows. Decided by its type and name, not by its data."""
    pandas = modules["pandas"]
    if isinstance(index, pandas.MultiIndex) or index.name is not None:
        return False
    return bool(pandas.api.types.is_integer_dtype(index.dtype))


def _exact(index: Any) -> Any:
    """The index with its integer levels as nullable integers where one is missing: pandas would make floats of them."""
    pandas = modules["pandas"]
    if not isinstance(index, pandas.MultiIndex):
        return index
    for at, (level, codes) in enumerate(zip(index.levels, index.codes, strict=True)):
        nullable = {"i": "Int64", "u": "UInt64"}.get(level.dtype.kind)
        if nullable and (codes < 0).any():
            index = index.set_levels(level.astype(nullable), level=at, verify_integrity=False)
    return index


def _column(column: Any, plain: Converter) -> list[Any]:
    """The values of a Series, an Index or an array of pandas, in order."""
    numpy = modules["numpy"]
    dtype = column.dtype
    if isinstance(dtype, numpy.dtype) and dtype.kind in "biufMm":
        converted: list[Any] = _array(numpy, column.to_numpy(), plain)
        return converted
    items = _arrow_items(column) if _is_exact_one_by_one(dtype) else column.astype(object).tolist()
    if not isinstance(dtype, numpy.dtype) and getattr(dtype, "kind", "O") != "f":
        # In columns of these types a NaN stands for a missing value, so it becomes None.
        items = [None if missing else item for item, missing in zip(items, column.isna(), strict=True)]
        if dtype.name in ("str", "string"):
            return items
    return plain.nested_items(column, items)


def _is_exact_one_by_one(dtype: Any) -> bool:
    """Whether `astype` would lose digits: on the way of nested Arrow values to numpy, integers beside a missing value
    become floats, and times have no nanoseconds. It is eight times as fast for the other types.
    """
    arrow = getattr(dtype, "pyarrow_dtype", None)
    if arrow is None:
        return False
    types = modules["pyarrow"].types
    return bool(types.is_nested(arrow) or types.is_time64(arrow))


def _arrow_items(column: Any) -> list[Any]:
    pyarrow, dtype = modules["pyarrow"], column.dtype
    if "time64[ns]" not in dtype.name:
        try:
            return list(column)
        except (OverflowError, ValueError) as error:
            raise NotJson(
                f"is of type {dtype.name}, and Python cannot hold one of its values: {error}; convert it with .astype()"
            ) from None
    return [_with_nanoseconds(pyarrow, scalar) for scalar in getattr(column, "array", column).__arrow_array__()]


def _with_nanoseconds(pyarrow: Any, scalar: Any) -> Any:
    """The value of an Arrow scalar with times as text, because Python's times have microseconds only."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pyarrow.Time64Scalar) and scalar.type.unit == "ns":
        seconds, fraction = divmod(scalar.value, 10**9)
        return trim_fraction(f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:09}")
    if isinstance(scalar, pyarrow.StructScalar):
        return {name: _with_nanoseconds(pyarrow, member) for name, member in scalar.items()}
    if isinstance(scalar, pyarrow.MapScalar):
        pairs = [_with_nanoseconds(pyarrow, pair) for pair in scalar.values]
        return [tuple(pair.values()) for pair in pairs]
    values = getattr(scalar, "values", None)
    if values is None:
        return scalar.as_py()
    return [_with_nanoseconds(pyarrow, each) for each in values]


def _series(series: Any, plain: Converter) -> Any:
    if _is_row_numbers(series.index):
        return _column(series, plain)
    names = _names(series.index, plain, "label")
    twice = _first_twice(names)
    if twice is not None:
        raise NotJson(f"is a Series with two labels that are {whole(repr(twice))}; use reset_index()")
    try:
        return dict(zip(names, _column(series, plain), strict=True))
    except NotJson as problem:
        row = problem.take_position()
        raise problem if row is None else at_item(problem, names[row]) from None


def _rows(frame: Any, plain: Converter) -> list[dict[str, Any]]:
    if not _is_row_numbers(frame.index):
        # Column labels become texts first, because labels of several levels would give the index as many.
        frame = frame.set_axis(_names(frame.columns, plain, "column"), axis=1).set_axis(_exact(frame.index), axis=0)
        try:
            frame = frame.reset_index()
        except ValueError as error:
            raise NotJson(
                f"is a DataFrame whose index cannot become columns: {error}; give it another name with rename_axis()"
            ) from None
    names = _names(frame.columns, plain, "column")
    twice = _first_twice(names)
    if twice is not None:
        raise NotJson(f"is a DataFrame with two columns that are {whole(repr(twice))}; rename one")
    columns = []
    for at, name in enumerate(names):
        try:
            columns.append(_column(frame.iloc[:, at], plain))
        except NotJson as problem:
            row = problem.take_position()
            raise at_attribute(problem, name) if row is None else at_item(at_attribute(problem, name), row) from None
    return (
        [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        if names
        else [{} for _ in frame.index]
    )


def _names(labels: Any, plain: Converter, called: str) -> list[str]:
    return [
        label if type(label) is str else key_text(label, plain.convert, called) for label in _exact(labels).tolist()
    ]


def _first_twice(names: list[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
