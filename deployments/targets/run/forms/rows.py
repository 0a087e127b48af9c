"""Reading raw rows of tables or series: of records, whatever they came as, or of a .npy array.

A table's file holds one sample a row. A series' file holds rows in the order of time, of which the
last ones are the window that a model looks back on. Nothing is scaled or filled in here: the model
does that.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.ahead import check_ahead
from deployments.targets.run.forms.arrays import Raw, Samples, read_npy
from deployments.targets.run.forms.moments import read_date, read_time
from deployments.targets.run.forms.records import Cell, Records, quote
from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.buckets import find_bucket
from storage.base.cells import (
    explain_unreadable,
    find_missing,
    read_number_cell,
    read_text_cell,
)
from storage.base.path_patterns import list_end_names
from storage.base.time_styles import join_parts
from storage.base.urls import redact

Rows = NDArray[np.float64]
STEP_ROWS = 1000
UNSEEN = "is a category that was not learned from, and counts as missing"


def read_rows(data: bytes, spec: InputSpec, where: str) -> Raw:
    """Read the samples of a .npy file.

    Raises:
        BadInput: The file does not hold rows that the card describes.
    """
    return _shape_samples(_drop_missing(read_npy(data, where), spec), spec, where)


def list_columns(spec: InputSpec) -> dict[str, tuple[str, ...] | None]:
    """List the columns of files that say something of a sample: values, entity and time.

    Returns:
        Each with the texts that it may hold; None for numbers and times.
    """
    columns: dict[str, tuple[str, ...] | None] = {}
    for column in (*spec.columns, *filter(None, [spec.time])):
        # A part of a time is a text: 7 stands there as 7, not as 7.0; so is what is hashed.
        held = () if column.parts or column.hashed else column.vocabulary or None
        for name in column.columns:
            columns.setdefault(name, held)
    if spec.entity is not None:
        columns.setdefault(spec.entity, ())
    return columns


def list_number_columns(spec: InputSpec) -> tuple[str, ...]:
    """List the columns of files that hold numbers, times that are numbers among them."""
    told = (*spec.columns, *filter(None, [spec.time]))
    return tuple(
        column.name
        for column in told
        if (column.time_style.is_number if column.is_time else not column.vocabulary)
    )


def _drop_missing(values: Raw, spec: InputSpec) -> Raw:
    """Return numbers, NaN where one means that there is none, as it does where one learns."""
    numbers = find_missing(spec.missing).numbers
    if not numbers or values.shape[-1:] != (len(spec.columns),):
        return values
    plain = [not (column.vocabulary or column.is_time) for column in spec.columns]
    gone = np.isin(values, list(numbers)) & np.array(plain)
    return np.where(gone, np.nan, values) if gone.any() else values


def read_records(records: Records, spec: InputSpec, where: str) -> Samples:
    """Read the samples of rows that are still texts.

    Args:
        records: The rows; columns that the model does not take are passed over.
        spec: What the model takes.
        where: The file, for messages.

    Returns:
        (N, D) of a table, (1, L, D) of a series; NaN where a value is missing, or a category is
        unknown, of which a note tells. Of a series with the times of its rows, where it tells them.

    Raises:
        BadInput: A column is missing, a value cannot be read, or there are too few rows.
    """
    _check_header(records, spec, where)
    records = _join_times(records, spec)
    times = None
    if len(spec.shape) > 1:
        _check_entity(records, spec, where)
        times = _read_times(records, spec, where)
        records = records.take_last(spec.shape[0])
    reader = _RowReader(records, spec, where)
    values = np.array(
        [reader.read(record, number) for number, record in enumerate(records.rows)]
    ).reshape(len(records.rows), len(spec.columns))
    samples = _shape_samples(values, spec, where)
    # The rows of a window are all of its one sample.
    notes = dict.fromkeys(
        (number if len(spec.shape) == 1 else 0, words) for number, words in reader.notes
    )
    return Samples(samples, times, tuple(notes))


def _join_times(records: Records, spec: InputSpec) -> Records:
    """Return rows with one column for each time that several columns tell together."""
    missing = find_missing(spec.missing)
    for column in dict.fromkeys((*spec.columns, *filter(None, [spec.time]))):
        if not column.parts or not set(column.parts) <= set(records.header):
            continue
        places = [records.header.index(name) for name in column.parts]
        rows = [
            [
                *row,
                join_parts([read_text_cell(row[p], missing) for p in places], column.time_format),
            ]
            for row in records.rows
        ]
        records = replace(records, header=[*records.header, column.name], rows=rows)
    return records


class _RowReader:
    """Reads the values of records, and notes what a person should know of them.

    Attributes:
        notes: The number of a row, and words.
    """

    def __init__(self, records: Records, spec: InputSpec, where: str) -> None:
        self.notes: list[tuple[int, str]] = []
        self._records, self._where = records, where
        self._missing = find_missing(spec.missing)
        self._is_table = len(spec.shape) == 1
        self._columns = [
            (
                records.header.index(column.name),
                column,
                {v: n for n, v in enumerate(column.vocabulary)},
            )
            for column in spec.columns
        ]

    def read(self, record: Sequence[Cell], number: int) -> list[float]:
        """Read the values of one record as they stand in a sample: NaN where one is missing."""
        return [
            self._read_text(record[place], column, known, number)
            if known
            else self._read_number(record[place], column, number)
            for place, column, known in self._columns
        ]

    def _read_text(
        self, cell: Cell, column: ColumnSpec, known: dict[str, int], number: int
    ) -> float:
        text = read_text_cell(cell, self._missing)
        if text is None:
            return math.nan
        if column.hashed:
            return float(find_bucket(text, len(known)))
        if text not in known:
            self.notes.append((number, f"{column.name}: {quote(text)} {UNSEEN}"))
            return math.nan
        return float(known[text])

    def _read_number(self, cell: Cell, column: ColumnSpec, number: int) -> float:
        if column.is_time:
            read = read_date if self._is_table else read_time
            return read(cell, column, self._missing, self._name_row(number))
        value = read_number_cell(cell, self._missing)
        if value is None or math.isinf(value):
            why = explain_unreadable(cell or "") or "correct it"
            raise BadInput(
                f"input ({self._name_row(number)}) must hold a finite number in {column.name}; got "
                f"{quote((cell or '').strip())}; {why}"
            )
        return value

    def _name_row(self, number: int) -> str:
        return f"{self._where}, {self._records.name_row(number)}"


def _check_header(records: Records, spec: InputSpec, where: str) -> None:
    """Refuse rows that lack a column, or have one twice."""
    names = [name for column in spec.columns for name in column.columns]
    twice = [name for name in list_columns(spec) if records.header.count(name) > 1]
    if twice:
        raise BadInput(
            f"input ({where}) must have each column once; got {', '.join(twice)} twice; give it "
            "once"
        )
    absent = [name for name in names if name not in records.header]
    if absent:
        remedy = f"name them {'in its first line' if records.first else 'all'}"
        pattern = None if spec.file_style is None else spec.file_style.path_columns
        if pattern is not None and set(absent) & set(list_end_names(pattern)):
            remedy = f"give them as columns, or call the file as {pattern}"
        raise BadInput(
            f"input ({where}) must have the columns {', '.join(names)}; got no "
            f"{', '.join(absent)}; {remedy}"
        )


def _check_entity(records: Records, spec: InputSpec, where: str) -> None:
    """Refuse a last window of several entities."""
    length = spec.shape[0]
    if spec.entity is None or spec.entity not in records.header:
        return
    place = records.header.index(spec.entity)
    found = list(dict.fromkeys((row[place] or "").strip() for row in records.rows[-length:]))
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
    missing = find_missing(spec.missing)
    times = np.array([read_time(row[place], spec.time, missing, where) for row in recent])
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


def _shape_samples(values: NDArray[np.number], spec: InputSpec, where: str) -> Rows:
    """Shape numbers as samples.

    Of a table (D,) or (N, D); of a series (L, D), more rows, or (N, L, D), without D where it is 1.

    Raises:
        BadInput: They have another shape, there is none, or one is infinite.
    """
    samples = np.asarray(values, dtype=np.float64)
    if spec.shape[1:] == (1,) != spec.shape[:1] == samples.shape[-1:]:
        samples = samples[..., None]
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
            f"input ({where}) must hold finite numbers, NaN where one is missing; got infinity"
        )
    check_ahead(samples, spec, where)
    return np.ascontiguousarray(samples)
