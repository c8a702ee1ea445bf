"""numpy and pandas values as plain ones. Neither package is imported: a value of theirs means the script has."""

from __future__ import annotations

from sys import modules
from typing import Any, Protocol

from .encode_keys import is_missing, key_text
from .encode_time import duration_of, trim_fraction
from .json_path import NotJson, at_attribute, at_item, whole


class Converter(Protocol):
    def convert(self, value: Any) -> Any: ...
    def nested_items(self, value: Any, items: list[Any]) -> list[Any]: ...


def convert(value: Any, plain: Converter) -> tuple[bool, Any]:
    """Whether the value is one of theirs, and its plain form."""
    if is_missing(value):
        return True, None
    numpy, pandas = modules.get("numpy"), modules.get("pandas")
    # Either may be half imported, or a script's own module of that name.
    if pandas is not None and hasattr(pandas, "DataFrame"):
        if isinstance(value, pandas.DataFrame):
            return True, _rows(value, plain)
        if isinstance(value, pandas.Series):
            return True, _series(value, plain)
    if numpy is not None and hasattr(numpy, "ndarray"):
        if isinstance(value, numpy.ma.MaskedArray):
            return True, plain.nested_items(value, value.tolist())
        if isinstance(value, numpy.ndarray):
            return True, _array(numpy, value, plain)
        if isinstance(value, numpy.generic):
            return True, _scalar(numpy, value, plain)
    return False, None


def _scalar(numpy: Any, value: Any, plain: Converter) -> Any:
    return _array(numpy, numpy.asarray(value), plain)


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
        # The slow way finds and names the place.
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


def _default_index(index: Any) -> bool:
    pandas = modules["pandas"]
    return isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None


def _column(column: Any, plain: Converter) -> list[Any]:
    """The values of a Series, one after the other."""
    numpy = modules["numpy"]
    dtype = column.dtype
    if isinstance(dtype, numpy.dtype) and dtype.kind in "biufMm":
        converted: list[Any] = _array(numpy, column.to_numpy(), plain)
        return converted
    items = column.astype(object).tolist()
    if dtype.name in ("str", "string"):
        return [item if isinstance(item, str) else None for item in items]
    return plain.nested_items(column, items)


def _series(series: Any, plain: Converter) -> Any:
    if _default_index(series.index):
        return _column(series, plain)
    names = _names(series.index)
    values = _column(series, plain)
    if len(set(names)) != len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise NotJson(f"is a Series with two labels that are {whole(repr(twice))}; use reset_index()")
    return dict(zip(names, values, strict=True))


def _rows(frame: Any, plain: Converter) -> list[dict[str, Any]]:
    if not _default_index(frame.index):
        try:
            frame = frame.reset_index()
        except ValueError as error:
            raise NotJson(f"is a DataFrame whose index cannot become columns: {error}") from None
    names = _names(frame.columns)
    if len(set(names)) != len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise NotJson(f"is a DataFrame with two columns that are {whole(repr(twice))}; rename one")
    columns = []
    for at, name in enumerate(names):
        try:
            columns.append(_column(frame.iloc[:, at], plain))
        except NotJson as problem:
            raise _row_first(problem, name) from None
    return (
        [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        if names
        else [{} for _ in frame.index]
    )


def _row_first(problem: NotJson, name: str) -> NotJson:
    """A column's problem stands at [row]; in the rows it stands at [row].column."""
    row = problem.take_outermost()
    return at_attribute(problem, name) if row is None else at_attribute(problem, name).prefix(row)


def _names(labels: Any) -> list[str]:
    names = []
    for at, label in enumerate(labels.tolist() if hasattr(labels, "tolist") else labels):
        try:
            names.append(key_text(label))
        except NotJson as problem:
            raise at_item(problem, at) from None
    return names
