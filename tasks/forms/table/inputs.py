"""Reads the columns of a table's or series' rows back from what a model was asked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.run.forms.records import quote
from deployments.targets.run.forms.rows import UNSEEN
from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.errors import InvalidInput
from storage.forms.columns import NUMBERS, TIME, name_text_fields
from storage.forms.table import TableSpec
from storage.shards.row_ids import VALID_SUFFIX, Rows

LATEST_S = 9.2e9
Columns = Mapping[str, tuple[str, ...]]


def read_columns(inputs: NDArray[Any], spec: InputSpec, data: TableSpec) -> tuple[Rows, Columns]:
    """Return the fields of rows, from samples (N, D) of rows or (N, L, D) of windows.

    The rows of windows come one window after the other, N * L of them. A category that the model
    does not know came to it as none, and so it does here.

    Raises:
        InvalidInput: A column of the data section is not among those that the model was asked, or
            the samples are none of the model's.
    """
    if inputs.shape[1:] != spec.shape or inputs.dtype.kind != "f":
        raise InvalidInput(
            f"samples must be numbers of shape {spec.shape}; got {inputs.dtype} of shape "
            f"{inputs.shape[1:]}; they are another model's"
        )
    places = {column.name: place for place, column in enumerate(spec.columns)}
    absent = [name for name in (*data.numbers, *data.texts) if name not in places]
    if absent:
        raise InvalidInput(
            f"columns ({', '.join(absent)}) must be among those that the model was asked; got "
            f"{', '.join(places)}; they are an older model's"
        )
    flat = inputs.reshape(-1, inputs.shape[-1])
    rows: Rows = {}
    columns: dict[str, tuple[str, ...]] = {}
    if data.numbers:
        numbers = np.ascontiguousarray(flat[:, [places[name] for name in data.numbers]], np.float64)
        rows |= {NUMBERS: numbers, NUMBERS + VALID_SUFFIX: ~np.isnan(numbers)}
        columns = {NUMBERS: data.numbers, NUMBERS + VALID_SUFFIX: data.numbers}
    for name, field in name_text_fields(data).items():
        if name in data.metadata:
            # Nobody asked with it: it is not known of these rows.
            rows[field] = np.full(len(flat), "", dtype=np.dtypes.StringDType())
            rows[field + VALID_SUFFIX] = np.zeros(len(flat), dtype=np.bool_)
            continue
        column = spec.columns[places[name]]
        rows[field], rows[field + VALID_SUFFIX] = _read_texts(flat[:, places[name]], column)
    if data.time_name in places:
        seconds = flat[:, places[data.time_name]]
        rows[TIME], rows[TIME + VALID_SUFFIX] = count_nanoseconds(seconds)
    return rows, columns


def _read_texts(
    codes: NDArray[np.float64], column: ColumnSpec
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    valid = ~np.isnan(codes)
    known_codes = np.isin(codes, np.arange(len(column.vocabulary)))
    if (valid & ~known_codes).any():
        raise InvalidInput(
            f"column ({column.name}) must hold places of {len(column.vocabulary)} words; got "
            f"{codes[valid & ~known_codes][0]:g}; they are another model's"
        )
    words = [
        column.vocabulary[int(code)] if known else ""
        for code, known in zip(codes.tolist(), valid.tolist(), strict=True)
    ]
    return np.array(words, dtype=np.dtypes.StringDType()), valid


def note_unseen(
    inputs: NDArray[Any], rows: Rows, spec: InputSpec, data: TableSpec
) -> tuple[tuple[int, str], ...]:
    """Note the categories of rows that a model does not know, in the words of its answers to files.

    Args:
        inputs: The rows as samples, (N, D): NaN where a category is missing or unknown.
        rows: The rows.
        spec: What the model takes.
        data: What its recipe says of the rows.
    """
    fields = name_text_fields(data)
    notes: list[tuple[int, str]] = []
    for place, column in enumerate(spec.columns):
        if not column.vocabulary or column.hashed:
            continue
        texts = rows[fields[column.name]]
        valid = rows.get(fields[column.name] + VALID_SUFFIX, np.ones(len(texts), np.bool_))
        unseen = np.flatnonzero(np.isnan(inputs[:, place]) & valid).tolist()
        notes += [(row, f"{column.name}: {quote(str(texts[row]))} {UNSEEN}") for row in unseen]
    return tuple(sorted(notes))


def count_nanoseconds(seconds: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times in nanoseconds since 1970, and which of them are times.

    Of seconds as float64 a microsecond is the least that can be told apart.
    """
    # 64 bits of nanoseconds reach from 1677 to 2262; what lies outside is no time.
    valid = np.isfinite(seconds) & (np.abs(np.nan_to_num(seconds)) < LATEST_S)
    whole = np.floor(np.where(valid, seconds, 0.0))
    parts = np.round((np.where(valid, seconds, 0.0) - whole) * 1e6)
    return whole.astype(np.int64) * 10**9 + parts.astype(np.int64) * 1000, valid
