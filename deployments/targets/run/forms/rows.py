"""Reading raw rows of tables or series: a CSV file with a header, or a .npy array of numbers.

A table's file holds one sample a row. A series' file holds rows in the order of time, of which the
last ones are the window that a model looks back on. Nothing is scaled or filled in here: the model
does that.
"""

import csv
import io
import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.arrays import MAGIC, read_npy
from deployments.targets.trust.card import ColumnSpec, InputSpec

Rows = NDArray[np.float64]
STEP_ROWS = 1000


def read_rows(data: bytes, spec: InputSpec, where: str) -> Rows:
    """Read the samples of a CSV or a .npy file.

    Raises:
        BadInput: The file does not hold rows that the card describes.
    """
    if data.startswith(MAGIC):
        return _shape_samples(read_npy(data, where), spec, where)
    return _read_csv(data, spec, where)


def _read_csv(data: bytes, spec: InputSpec, where: str) -> Rows:
    """Read the samples of a CSV file.

    Args:
        data: The file, UTF-8, its first record the names of the columns; columns that the model
            does not take are passed over.
        spec: What the model takes.
        where: The file, for messages.

    Returns:
        (N, D) of a table, (1, L, D) of a series; NaN where a value is missing, or a category is
        unknown.

    Raises:
        BadInput: A column is missing, a value cannot be read, or there are too few rows.
    """
    header, rows = _split_csv(data, spec, where)
    first = 2  # The line of the first row that is read.
    if len(spec.shape) > 1:
        _check_entity(rows, header, spec, where)
        _check_times(rows, header, spec, where)
        first += max(len(rows) - spec.shape[0], 0)
        rows = rows[-spec.shape[0] :]
    places = [header.index(column.name) for column in spec.columns]
    values = np.array(
        [
            _read_record(record, places, spec, f"{where}, line {first + number}")
            for number, record in enumerate(rows)
        ]
    ).reshape(len(rows), len(places))
    return _shape_samples(values, spec, where)


def _split_csv(data: bytes, spec: InputSpec, where: str) -> tuple[list[str], list[list[str]]]:
    """Split a CSV file into the names of its columns, of which none may be absent, and its rows."""
    try:
        records = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            f"input ({where}) must be a CSV file in UTF-8; got {error}; save it again"
        ) from error
    records = [record for record in records if record]
    header = [name.strip() for name in records[0]] if records else []
    wrong = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if wrong is not None:
        raise BadInput(
            f"input ({where}) must have commas between its values, whatever stood between those "
            f"that were learned from; got {wrong!r} in its first line; save it with commas, and "
            "points in its numbers"
        )
    names = [column.name for column in spec.columns]
    absent = [name for name in names if name not in header]
    if absent:
        raise BadInput(
            f"input ({where}) must have the columns {', '.join(names)}; got no "
            f"{', '.join(absent)}; name them in its first line"
        )
    return header, records[1:]


def _check_entity(rows: list[list[str]], header: list[str], spec: InputSpec, where: str) -> None:
    """Refuse a last window of several entities."""
    length = spec.shape[0]
    if spec.entity is None or spec.entity not in header:
        return
    found = list(dict.fromkeys(_read_cell(row, header, spec.entity) for row in rows[-length:]))
    if len(found) > 1:
        raise BadInput(
            f"input ({where}) must end with {length} rows of one {spec.entity}; got "
            f"{', '.join(found[:5])}; write a file for each"
        )


def _check_times(rows: list[list[str]], header: list[str], spec: InputSpec, where: str) -> None:
    """Refuse a last window that is out of order or goes over a gap.

    A step is the usual time between two rows: the median over the window and some rows before it.
    """
    length = spec.shape[0]
    if spec.time is None or spec.time.name not in header:
        return
    recent = rows[-max(length, STEP_ROWS) :]
    apart = np.diff(
        [_read_time(_read_cell(row, header, spec.time.name), spec.time, where) for row in recent]
    )
    inside = apart[len(apart) - length + 1 :] if len(apart) >= length else apart
    if len(inside) and inside.min() <= 0:
        raise BadInput(
            f"input ({where}) must hold rows in the order of {spec.time.name}; got one that is no "
            "later than the one before it; sort them"
        )
    step = float(np.median(apart)) if len(apart) else 0.0
    if len(inside) and spec.max_gap_steps is not None and inside.max() > spec.max_gap_steps * step:
        raise BadInput(
            f"input ({where}) must end with {length} rows without a gap; got {inside.max():g} s "
            f"between two of them, where {step:g} s are usual; give the rows that are missing, or "
            "only those behind the gap once there are enough"
        )


def _read_cell(row: list[str], header: list[str], name: str) -> str:
    place = header.index(name)
    return row[place].strip() if place < len(row) else ""


def _read_record(record: list[str], places: list[int], spec: InputSpec, where: str) -> list[float]:
    if len(record) <= max(places):
        raise BadInput(
            f"input ({where}) must have a value in each column; got {len(record)} values; fill it "
            "up"
        )
    texts = [record[place].strip() for place in places]
    return [
        _read_value(text, column, spec, where)
        for text, column in zip(texts, spec.columns, strict=True)
    ]


def _read_value(text: str, column: ColumnSpec, spec: InputSpec, where: str) -> float:
    """Read a value as it stands in a sample: NaN where it is missing."""
    if column.is_time:
        return _read_time(text, column, where)
    if text in spec.missing:
        return math.nan
    if column.vocabulary:
        return float(column.vocabulary.index(text)) if text in column.vocabulary else math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise BadInput(
            f"input ({where}) must hold a finite number in {column.name}; got {text[:40]!r}; "
            "correct it"
        )
    return value


def _read_time(text: str, column: ColumnSpec, where: str) -> float:
    """Read a time as seconds since 1970; UTC unless the text says otherwise."""
    try:
        moment = (
            datetime.strptime(text, column.time_format)
            if column.time_format
            else datetime.fromisoformat(text)
        )
    except ValueError as error:
        style = column.time_format or "ISO 8601"
        raise BadInput(
            f"input ({where}) must hold a time as {style} in {column.name}; got {text[:40]!r}"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _shape_samples(values: NDArray[np.number], spec: InputSpec, where: str) -> Rows:
    """Shape numbers as samples.

    Of a table they are (D,) or (N, D); of a series (L, D), more rows than L, or (N, L, D).

    Raises:
        BadInput: They have another shape, there is none, or one is infinite.
    """
    samples = np.asarray(values, dtype=np.float64)
    if samples.ndim == len(spec.shape) and samples.shape[-1] == spec.shape[-1]:
        # Of a longer series the window is what comes last.
        samples = samples[None] if len(spec.shape) == 1 else samples[None, -spec.shape[0] :]
    if samples.ndim != len(spec.shape) + 1 or samples.shape[1:] != spec.shape or not len(samples):
        steps = f"at least {spec.shape[0]} rows" if len(spec.shape) > 1 else "at least one row"
        raise BadInput(
            f"input ({where}) must hold {steps} of {spec.shape[-1]} columns; got {values.shape}; "
            "give more rows, or the columns that the model takes"
        )
    if np.isinf(samples).any():
        raise BadInput(
            f"input ({where}) must hold finite numbers, or NaN where one is missing; got an "
            "infinite one"
        )
    return np.ascontiguousarray(samples)
