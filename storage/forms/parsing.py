"""Turns a column of a file into values: by pyarrow where that means the same, else by shared rules.

What a text means is said once, in `storage.base.cells` and `storage.base.times`. pyarrow reads most
numbers as these do, and faster; where it cannot read a column, it is read text by text.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.cells import Missing, read_number_cell, read_text_cell
from storage.base.time_styles import TimeStyle, join_parts

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "D": 86_400 * 10**9}
Mask = NDArray[np.bool_]


def is_text_column(column: "pa.ChunkedArray") -> bool:
    """Return whether a column holds texts, plain or by a dictionary."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def parse_numbers(column: "pa.ChunkedArray", missing: Missing) -> tuple[NDArray[np.float64], Mask]:
    """Return numbers, NaN where there is none, and which are there, each (N,)."""
    import pyarrow as pa

    if is_text_column(column):
        try:
            read = column.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _parse_number_texts(column, missing)
        if holds_nan(read):
            return _parse_number_texts(column, missing)
        column = read
    return mask_numbers(*_take_numbers(column), missing)


def holds_nan(column: "pa.ChunkedArray") -> bool:
    """Return whether texts were read as NaN: pyarrow takes `nan(1)` for one, we do not."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.is_nan(column)).as_py())


def mask_numbers(
    values: NDArray[np.float64], valid: Mask, missing: Missing
) -> tuple[NDArray[np.float64], Mask]:
    """Return numbers and their mask without those that mean that there is none."""
    if missing.numbers:
        gone = np.isin(values, list(missing.numbers))
        if gone.any():
            return np.where(gone, np.nan, values), valid & ~gone
    return values, valid


def _take_numbers(column: "pa.ChunkedArray") -> tuple[NDArray[np.float64], Mask]:
    import pyarrow as pa

    valid = column.is_valid().to_numpy().astype(np.bool_)
    values = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy().astype(np.float64)
    return values, valid


def _parse_number_texts(
    column: "pa.ChunkedArray", missing: Missing
) -> tuple[NDArray[np.float64], Mask]:
    read = [read_number_cell(text, missing) for text in column.to_pylist()]
    values = np.array([np.nan if number is None else number for number in read], dtype=np.float64)
    return values, ~np.isnan(values)


def parse_texts(column: "pa.ChunkedArray", missing: Missing) -> tuple[NDArray[Any], Mask]:
    """Return texts, "" where there is none, and which are there."""
    values = list_texts(column, missing)
    texts = np.array([value or "" for value in values], dtype=np.dtypes.StringDType())
    return texts, np.array([value is not None for value in values], dtype=np.bool_)


def parse_labels(
    column: "pa.ChunkedArray", labels: Sequence[str], missing: Missing
) -> tuple[NDArray[np.int64], Mask]:
    """Return places among the names of classes, -1 for other texts, and which are there."""
    known = {label: number for number, label in enumerate(labels)}
    values = list_texts(column, missing)
    numbers = [-1 if value is None else known.get(value, -1) for value in values]
    return np.array(numbers, dtype=np.int64), np.array(
        [value is not None for value in values], dtype=np.bool_
    )


def list_texts(column: "pa.ChunkedArray", missing: Missing) -> list[str | None]:
    """List the texts of a column; None where one is missing."""
    import pyarrow as pa

    given = column.cast(pa.string()).to_pylist()
    # A column of categories holds few texts, which need be read once.
    known: Mapping[str | None, str | None] = {
        text: read_text_cell(text, missing) for text in set(given)
    }
    return [known[text] for text in given]


def parse_times(
    column: "pa.ChunkedArray", style: TimeStyle, missing: Missing
) -> tuple[NDArray[np.int64], Mask]:
    """Return nanoseconds since 1970, 0 where there is no time, and which are there."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        times, valid = _count_nanoseconds(column)
        if getattr(column.type, "tz", None) is not None:
            return times, valid
        placed, there = style.place_all(times)
        return np.where(valid, placed, 0), valid & there
    given = list_texts(column, missing)
    known = {text: style.read(text) for text in set(given) if text is not None}
    found = [known[text] if text is not None else None for text in given]
    times = np.array([time or 0 for time in found], dtype=np.int64)
    return times, np.array([time is not None for time in found], dtype=np.bool_)


def join_columns(
    columns: "Sequence[pa.ChunkedArray]", format_: str | None, missing: Missing
) -> "pa.ChunkedArray":
    """Return the texts of times that several columns tell together; null where one is missing."""
    import pyarrow as pa

    given = [list_texts(column, missing) for column in columns]
    joined = [join_parts(cells, format_) for cells in zip(*given, strict=True)]
    return pa.chunked_array([pa.array(joined, pa.string())])


def _count_nanoseconds(column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], Mask]:
    """Return the nanoseconds since 1970 of dates or timestamps.

    None where 64 bits do not reach, as in `read_time`.
    """
    import pyarrow as pa

    unit = _UNITS_NS["D" if pa.types.is_date32(column.type) else getattr(column.type, "unit", "ms")]
    counts = (
        column.cast(pa.int32()).cast(pa.int64())
        if pa.types.is_date32(column.type)
        else column.cast(pa.int64())
    )
    valid = column.is_valid().to_numpy().astype(np.bool_)
    steps = counts.fill_null(0).to_numpy().astype(np.int64)
    reach = ((1 << 63) - 1) // unit
    kept = valid & (steps >= -reach) & (steps <= reach)
    return np.where(kept, steps, 0) * unit, kept
