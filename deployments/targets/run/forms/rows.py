"""Reading raw rows of tables or series: of records, whatever they came as, or of a .npy array.

A table's file holds one sample a row. A series' file holds rows in the order of time, of which the
last ones are the window that a model looks back on. Nothing is scaled or filled in here: the model
does that.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.arrays import Raw, Samples, read_npy
from deployments.targets.run.forms.records import Cell, Records, quote
from deployments.targets.trust.card import ColumnSpec, InputSpec
from storage.base.store import redact

Rows = NDArray[np.float64]
STEP_ROWS = 1000


def read_rows(data: bytes, spec: InputSpec, where: str) -> Raw:
    """Read the samples of a .npy file.

    Raises:
        BadInput: The file does not hold rows that the card describes.
    """
    return _shape_samples(read_npy(data, where), spec, where)


def list_columns(spec: InputSpec) -> list[str]:
    """List the columns of files that say something of a sample: values, entity and time."""
    names = [column.name for column in spec.columns]
    return names + [
        name
        for name in (spec.entity, spec.time.name if spec.time else None)
        if name is not None and name not in names
    ]


def read_records(records: Records, spec: InputSpec, where: str) -> Samples:
    """Read the samples of rows that are still texts.

    Args:
        records: The rows; columns that the model does not take are passed over.
        spec: What the model takes.
        where: The file, for messages.

    Returns:
        (N, D) of a table, (1, L, D) of a series; NaN where a value is missing, or a category is
        unknown. Of a series with the times of its rows, where it tells them.

    Raises:
        BadInput: A column is missing, a value cannot be read, or there are too few rows.
    """
    _check_header(records, spec, where)
    times = None
    if len(spec.shape) > 1:
        _check_entity(records, spec, where)
        times = _read_times(records, spec, where)
        records = records.take_last(spec.shape[0])
    places = [records.header.index(column.name) for column in spec.columns]
    values = np.array(
        [
            _read_record(record, places, spec, f"{where}, {records.name_row(number)}")
            for number, record in enumerate(records.rows)
        ]
    ).reshape(len(records.rows), len(places))
    return Samples(_shape_samples(values, spec, where), times)


def _check_header(records: Records, spec: InputSpec, where: str) -> None:
    """Refuse rows that lack a column."""
    names = [column.name for column in spec.columns]
    absent = [name for name in names if name not in records.header]
    if absent:
        raise BadInput(
            f"input ({where}) must have the columns {', '.join(names)}; got no "
            f"{', '.join(absent)}; name them {'in its first line' if records.first else 'all'}"
        )


def _check_entity(records: Records, spec: InputSpec, where: str) -> None:
    """Refuse a last window of several entities."""
    length = spec.shape[0]
    if spec.entity is None or spec.entity not in records.header:
        return
    place = records.header.index(spec.entity)
    found = list(dict.fromkeys(_read_cell(row, place) for row in records.rows[-length:]))
    if len(found) > 1:
        raise BadInput(
            f"input ({where}) must end with {length} rows of one {spec.entity}; got "
            f"{', '.join(redact(name) for name in found[:5])}; write a file for each"
        )


def _read_times(records: Records, spec: InputSpec, where: str) -> Rows | None:
    """Read when the rows of the last window were; refuse one out of order or over a gap.

    A step is the usual time between two rows: the median over the window and some rows before it.

    Returns:
        (1, L) seconds since 1970; None where the rows do not tell, or are too few.
    """
    length = spec.shape[0]
    if spec.time is None or spec.time.name not in records.header:
        return None
    place = records.header.index(spec.time.name)
    recent = records.rows[-max(length, STEP_ROWS) :]
    times = np.array([_read_time(_read_cell(row, place), spec.time, where) for row in recent])
    apart = np.diff(times)
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
    return times[None, -length:] if len(times) >= length else None


def _read_cell(row: Sequence[Cell], place: int) -> str:
    return (row[place] or "").strip() if place < len(row) else ""


def _read_record(
    record: Sequence[Cell], places: list[int], spec: InputSpec, where: str
) -> list[float]:
    if len(record) <= max(places):
        raise BadInput(
            f"input ({where}) must have a value in each column; got {len(record)} values; fill it "
            "up"
        )
    cells = [record[place] for place in places]
    return [
        _read_value(cell, column, spec, where)
        for cell, column in zip(cells, spec.columns, strict=True)
    ]


def _read_value(cell: Cell, column: ColumnSpec, spec: InputSpec, where: str) -> float:
    """Read a value as it stands in a sample: NaN where it is missing."""
    text = (cell or "").strip()
    if column.is_time:
        return _read_time(text, column, where)
    if cell is None or text in spec.missing:
        return math.nan
    if column.vocabulary:
        return float(column.vocabulary.index(text)) if text in column.vocabulary else math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise BadInput(
            f"input ({where}) must hold a finite number in {column.name}; got {quote(text)}; "
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
            f"input ({where}) must hold a time as {style} in {column.name}; got {quote(text)}"
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
