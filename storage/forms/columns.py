"""Turns columns of a file into fields: numbers, text, label, target, time and entity."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import SourceError, SourceUnavailable
from storage.forms.base import MAX_CLASSES_NAMED, RowsSpec
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = "numbers"
TARGET = "target"
TIME = "time"
SERIES_ID = "series_id"
_UNITS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "D": 86_400 * 10**9}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
            f"file ({where}) must have {what}; got the columns {', '.join(found)}; mend the data "
            "section, or give the names of a file without a header"
        )


def name_field(column: str) -> str:
    """Return the field of a text column; what is no letter or digit becomes `_`."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", column)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


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
    if spec.numbers:
        parsed = [_parse_numbers(table.column(name)) for name in spec.numbers]
        rows[NUMBERS] = np.stack([values for values, _ in parsed], axis=1)
        rows[NUMBERS + VALID_SUFFIX] = np.stack([valid for _, valid in parsed], axis=1)
        columns = {NUMBERS: spec.numbers, NUMBERS + VALID_SUFFIX: spec.numbers}
    for name in spec.texts:
        field = name_field(name)
        rows[field], rows[field + VALID_SUFFIX] = _parse_texts(table.column(name))
    if spec.label is not None:
        rows[LABEL], rows[LABEL + VALID_SUFFIX] = _parse_labels(
            table.column(spec.label), spec.labels
        )
    if spec.target is not None:
        rows[TARGET], rows[TARGET + VALID_SUFFIX] = _parse_numbers(table.column(spec.target))
    if spec.time is not None:
        rows[TIME], rows[TIME + VALID_SUFFIX] = _parse_times(
            table.column(spec.time), spec.time_format
        )
    return rows, columns


def find_undeclared(table: "pa.Table", spec: RowsSpec) -> tuple[str, ...]:
    """Return the texts of the label's column that are no class of the recipe, by name."""
    if spec.label is None:
        return ()
    import pyarrow as pa

    distinct = _list_texts(pa.chunked_array([table.column(spec.label).unique()]))
    return tuple(sorted({text for text in distinct if text is not None} - set(spec.labels)))[
        :MAX_CLASSES_NAMED
    ]


def hash_entity(name: str) -> int:
    """Return the `series_id` of an entity: 63 bits of BLAKE2b over its name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1


def _parse_numbers(column: "pa.ChunkedArray") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        try:
            column = column.cast(pa.float64())
        except pa.ArrowInvalid:
            values = np.array(
                [_parse_number(text) for text in column.to_pylist()], dtype=np.float64
            )
            return values, ~np.isnan(values)
    valid = column.is_valid().to_numpy().astype(np.bool_)
    values = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy().astype(np.float64)
    return values, valid


def _parse_number(text: str | None) -> float:
    try:
        return float(text.strip()) if text is not None else np.nan
    except ValueError:
        return np.nan


def _parse_texts(column: "pa.ChunkedArray") -> tuple[NDArray[Any], NDArray[np.bool_]]:
    values = _list_texts(column)
    texts = np.array([value or "" for value in values], dtype=np.dtypes.StringDType())
    return texts, np.array([value is not None for value in values], dtype=np.bool_)


def _parse_labels(
    column: "pa.ChunkedArray", labels: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    known = {label: number for number, label in enumerate(labels)}
    values = _list_texts(column)
    numbers = [-1 if value is None else known.get(value, -1) for value in values]
    return np.array(numbers, dtype=np.int64), np.array(
        [value is not None for value in values], dtype=np.bool_
    )


def _parse_times(
    column: "pa.ChunkedArray", style: str | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        times = pa.chunked_array([_count_nanoseconds(column)])
    elif style is not None:
        times = pc.strptime(column.cast(pa.string()), format=style, unit="ns", error_is_null=True)
    else:
        values = [parse_time(text) for text in column.cast(pa.string()).to_pylist()]
        times = pa.chunked_array([pa.array(values, type=pa.int64())])
    valid = (
        times.is_valid().to_numpy(zero_copy_only=False)
        if isinstance(times, pa.Array)
        else times.is_valid().to_numpy()
    )
    nanoseconds = times.cast(pa.int64()).fill_null(0)
    return np.asarray(nanoseconds.to_numpy(), dtype=np.int64), np.asarray(valid, dtype=np.bool_)


def _count_nanoseconds(column: "pa.ChunkedArray") -> "pa.Array":
    """Return the nanoseconds since 1970 of dates or timestamps.

    Null where 64 bits do not reach, as in `parse_time`.
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
    return pa.array(np.where(kept, steps, 0) * unit, mask=~kept)


def parse_time(text: str | None) -> int | None:
    """Return the nanoseconds since 1970 of an ISO 8601 time, UTC unless it says otherwise.

    None where it is no time, or does not fit.

    64 bits reach from 1677 to 2262: 9999-12-31, which stands for "never" in many a table, is no
    time.
    """
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    past = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    nanoseconds = ((past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds) * 1_000
    return nanoseconds if -(1 << 63) <= nanoseconds < 1 << 63 else None


def parse_entities(table: "pa.Table", entity: str | None) -> NDArray[np.int64]:
    """Makes `series_id` of the column of the entity; one for all rows where there is none."""
    if entity is None:
        return np.full(table.num_rows, hash_entity(""), dtype=np.int64)
    values = _list_texts(table.column(entity))
    known: Mapping[str | None, int] = {value: hash_entity(value or "") for value in set(values)}
    return np.array([known[value] for value in values], dtype=np.int64)


def _list_texts(column: "pa.ChunkedArray") -> list[str | None]:
    import pyarrow as pa

    return [
        None if value is None else value.strip() for value in column.cast(pa.string()).to_pylist()
    ]
