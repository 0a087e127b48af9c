"""Turns columns of a file into fields: numbers, text, label, target, time and entity."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.base.cells import Missing, find_missing
from storage.base.errors import SourceError, SourceUnavailable
from storage.base.shown import list_names
from storage.forms.base import MAX_CLASSES_NAMED, RowsSpec
from storage.forms.parsing import (
    join_columns,
    list_texts,
    parse_labels,
    parse_numbers,
    parse_texts,
    parse_times,
)
from storage.forms.time_field import list_time_columns
from storage.shards.row_ids import CONTENT_HASH, LABEL, ROW_ID, VALID_SUFFIX, Rows

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = "numbers"
TARGET = "target"
TIME = "time"
SERIES_ID = "series_id"
MAX_PLAIN_CHARS = 100
NANOSECONDS = 1e9
RESERVED_FIELDS = frozenset({NUMBERS, TARGET, TIME, SERIES_ID, LABEL, ROW_ID, CONTENT_HASH})
"""Fields of rows that mean the same in every table; no text column becomes one of them."""


def require_columns(data: RowsSpec | None, where: str) -> RowsSpec:
    """Return the data section, if it names columns.

    Raises:
        SourceUnavailable: There is none, or it names none.
    """
    if data is not None and data.columns:
        return data
    raise SourceUnavailable(
        f"source ({where}) must be told which of its columns are what; got no data section of a "
        "table; write kind: table and its columns"
    )


def list_number_columns(spec: RowsSpec) -> tuple[str, ...]:
    """List the columns whose values are numbers, the target last; what the time is, is none."""
    named = (*spec.numbers, *filter(None, [spec.target_column]))
    told = (*list_time_columns(spec.time), *spec.dates)
    return tuple(name for name in named if name not in told)


def list_marked_columns(spec: RowsSpec) -> tuple[str, ...]:
    """List the columns of which a file's marks of decimals and thousands are read."""
    times = list_time_columns(spec.time) if spec.time_style.is_number else ()
    dates = spec.dates if spec.date_style.is_number else ()
    return (*list_number_columns(spec), *times, *dates)


def check_columns(found: Sequence[str], wanted: Sequence[str], where: str) -> None:
    """Checks that a file has the columns that the recipe names, each once.

    Raises:
        SourceError: One is missing, or named twice.
    """
    missing = [name for name in wanted if name not in found]
    repeated = sorted({name for name in wanted if list(found).count(name) > 1})
    if missing or repeated:
        what = (
            f"the columns {', '.join(missing)}"
            if missing
            else f"one column each of {', '.join(repeated)}"
        )
        raise SourceError(
            f"file ({where}) must have {what}; got the columns {list_names(found)}; mend the data "
            "section, or give the names of a file without a header"
        )


def name_field(column: str, texts: Sequence[str]) -> str:
    """Return the field of a text column, which is no other column's.

    What is no letter or digit becomes `_`. Where that would make one field of two columns, or one
    that means something else here, a hash of the column's name tells them apart; a column that is
    named as the field would be keeps the name.

    Args:
        column: The column.
        texts: All columns of text that there are.
    """
    plain = _name_plainly(column)
    shared = column != plain and any(
        other != column and _name_plainly(other) == plain for other in texts
    )
    if not shared and not _is_reserved(plain):
        return plain
    mark = hashlib.blake2b(column.encode(), digest_size=4).hexdigest()
    return f"{plain.removesuffix(VALID_SUFFIX)[:MAX_PLAIN_CHARS]}.{mark}"


def name_text_fields(spec: RowsSpec) -> dict[str, str]:
    """Return the field of each column of text, those that nothing is learned from last."""
    every = (*spec.texts, *spec.metadata)
    fields = {name: name_field(name, spec.texts) for name in spec.texts}
    return fields | {name: name_field(name, every) for name in spec.metadata}


def list_meant(name: str, spec: RowsSpec) -> tuple[str, ...]:
    """List the fields that a recipe may mean by a name, the likeliest first."""
    own = name_text_fields(spec).get(name)
    roles = {LABEL: spec.label, TARGET: spec.target, TIME: spec.time_name, SERIES_ID: spec.entity}
    parts = [field for field, column in roles.items() if column == name]
    return (*((name, _name_plainly(name)) if own is None else (own, name)), *parts)


def _name_plainly(column: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", column)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def _is_reserved(field: str) -> bool:
    """Tell whether rows have, or their statistics know, something else by that name."""
    return (
        field in RESERVED_FIELDS
        or field.endswith(VALID_SUFFIX)
        or field.startswith(f"{NUMBERS}.")
        or len(field) > MAX_PLAIN_CHARS
    )


def build_rows(table: "pa.Table", spec: RowsSpec) -> tuple[Rows, dict[str, tuple[str, ...]]]:
    """Return the fields of a table's rows.

    Args:
        table: A pyarrow table with the columns of `spec`, of numbers or text; null where a value is
            missing.
        spec: What each column is.

    Returns:
        The fields, and the names of the columns of `numbers`.
    """
    rows: Rows = {}
    columns: dict[str, tuple[str, ...]] = {}
    missing = find_missing(spec.missing)
    if spec.numbers:
        parsed = [_parse_column(table.column(name), name, spec, missing) for name in spec.numbers]
        rows[NUMBERS] = np.stack([values for values, _ in parsed], axis=1)
        rows[NUMBERS + VALID_SUFFIX] = np.stack([valid for _, valid in parsed], axis=1)
        columns = {NUMBERS: spec.numbers, NUMBERS + VALID_SUFFIX: spec.numbers}
    for name, field in name_text_fields(spec).items():
        rows[field], rows[field + VALID_SUFFIX] = parse_texts(table.column(name), missing)
    if spec.label is not None:
        rows[LABEL], rows[LABEL + VALID_SUFFIX] = parse_labels(
            table.column(spec.label), spec.labels, missing
        )
    if spec.target is not None:
        rows[TARGET], rows[TARGET + VALID_SUFFIX] = parse_numbers(
            table.column(spec.target_column), missing
        )
    if spec.time is not None:
        column = take_times(table, spec)
        rows[TIME], rows[TIME + VALID_SUFFIX] = parse_times(column, spec.time_style, missing)
    return rows, columns


def take_times(table: "pa.Table", spec: RowsSpec) -> "pa.ChunkedArray":
    """Return the column of the times of a table, joined of several where these tell them."""
    if not isinstance(spec.time, tuple):
        return table.column(spec.time_name)
    parts = [table.column(name) for name in spec.time]
    return join_columns(parts, spec.time_style.format, find_missing(spec.missing))


def _parse_column(
    column: "pa.ChunkedArray", name: str, spec: RowsSpec, missing: Missing
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a column as numbers, dates in seconds since 1970, and which are there."""
    if name not in spec.dates:
        return parse_numbers(column, missing)
    times, valid = parse_times(column, spec.date_style, missing)
    return np.where(valid, times / NANOSECONDS, np.nan), valid


def find_undeclared(table: "pa.Table", spec: RowsSpec) -> tuple[str, ...]:
    """Return the texts of the label's column that are no class of the recipe, by name."""
    if spec.label is None:
        return ()
    import pyarrow as pa

    unique = pa.chunked_array([table.column(spec.label).unique()])
    distinct = list_texts(unique, find_missing(spec.missing))
    return tuple(sorted({text for text in distinct if text is not None} - set(spec.labels)))[
        :MAX_CLASSES_NAMED
    ]


def hash_entity(name: str) -> int:
    """Return the `series_id` of an entity: 63 bits of BLAKE2b over its name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1


def parse_entities(table: "pa.Table", spec: RowsSpec) -> NDArray[np.int64]:
    """Makes `series_id` of the column of the entity; one for all rows where there is none."""
    if spec.entity is None:
        return np.full(table.num_rows, hash_entity(""), dtype=np.int64)
    values = list_texts(table.column(spec.entity), find_missing(spec.missing))
    known: Mapping[str | None, int] = {value: hash_entity(value or "") for value in set(values)}
    return np.array([known[value] for value in values], dtype=np.int64)
