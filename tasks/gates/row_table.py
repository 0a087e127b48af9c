"""Opens rows as the table that expectations are applied to: by shard, here or on workers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.engine.sharded_table import ColumnStatistics, Shard, ShardedTable
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.pipeline.derived import PREFIX, derive_columns
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows
from storage.shards.statistics import FieldStatistics
from tasks.forms.columns import SCALARS, Column, read_column
from tasks.forms.registry import find_task_form

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ("row_id", "source")
FEWEST_ROWS = 200_000
"""From which rows are judged on workers: each takes seconds to import Great Expectations first."""


def open_rows(version: Version, data: RowsSpec, client: TaskClient | None = None) -> ShardedTable:
    """Open the rows of a version: row_id, source, the recipe's columns, label, derived columns."""
    shards = tuple(_open_shard(entry, version.dataset.shards, data) for entry in version.shards)
    many = version.rows >= FEWEST_ROWS
    workers = partial(_map_on_workers, client=client) if client is not None and many else None
    return ShardedTable(shards, IDENTITY, workers)


def _map_on_workers(
    function: Callable[..., Any], items: Sequence[Any], client: TaskClient
) -> Iterator[Any]:
    return map_in_order(function, items, client)


def _open_shard(entry: ShardEntry, shards: Store, data: RowsSpec) -> Shard:
    load = partial(load_frame, entry=entry, shards=shards, data=data)
    return Shard(
        entry.digest[:12], entry.rows, _make_head(entry, data), load, _list_statistics(entry, data)
    )


def load_frame(
    columns: tuple[str, ...] | None, entry: ShardEntry, shards: Store, data: RowsSpec
) -> "pd.DataFrame":
    """Load rows of a shard as a frame, of the fields that columns need; runs on a worker."""
    known = list_scalars(data)
    plain = {"row_id", "source", "time", "series_id", "label", *(column.name for column in known)}
    derived = columns is None or any(column not in plain for column in columns)
    needed = {*(columns or ()), *(each.field for each in known if each.name in (columns or ()))}
    fields = sorted(
        field.name
        for field in entry.fields
        if derived or field.name.removesuffix(VALID_SUFFIX) in needed
    )
    rows = read_shard(shards, entry, fields or ["row_id"], verify=False)
    return make_frame(
        rows, entry, data, derived=derived, sources=columns is None or "source" in columns
    )


def list_scalars(data: RowsSpec) -> list[Column]:
    """List the recipe's columns of one value a row, without the label, which is called `label`."""
    return [column for column in find_task_form(data).list_columns(data) if column.role in SCALARS]


def make_frame(
    rows: Rows, entry: ShardEntry, data: RowsSpec, *, derived: bool = True, sources: bool = True
) -> "pd.DataFrame":
    """Make a frame of rows, as far as they were read; missing values are NaN, None or NaT."""
    import pandas as pd

    columns: dict[str, Any] = {"row_id": rows["row_id"]} if "row_id" in rows else {}
    if sources:
        columns["source"] = _name_sources(entry)
    for column in list_scalars(data):
        if column.field in rows:
            columns[column.name] = read_column(rows, column)
    if TIME in rows:
        times = _mask(rows, TIME, rows[TIME].view("datetime64[ns]"), np.datetime64("NaT"))
        columns["time"] = pd.Series(times)
    if SERIES_ID in rows:
        columns["series_id"] = rows[SERIES_ID]
    if LABEL in rows:
        columns["label"] = _mask(rows, LABEL, rows[LABEL].astype(np.float64), np.nan)
    if derived:
        named = {field.name: field.columns for field in entry.fields if field.columns}
        prefix = find_task_form(data).derived_prefix
        found = derive_columns(rows, named)
        columns |= {f"{prefix}{name}": values.astype(np.float64) for name, values in found.items()}
    return pd.DataFrame(columns)


def _mask(rows: Rows, field: str, values: Any, missing: Any) -> Any:
    valid = rows.get(field + VALID_SUFFIX)
    return values if valid is None else np.where(valid, values, missing)


def _name_sources(entry: ShardEntry) -> list[str]:
    """Name the file of each row, where the shard comes from one; else the files of all of them."""
    if len(entry.source) == 1:
        span = entry.source[0]
        exact = span.stop - span.start == entry.rows
        return [
            f"{span.name}:{span.start + row}" if exact else span.name for row in range(entry.rows)
        ]
    return [", ".join(sorted({span.name for span in entry.source}))] * entry.rows


def _make_head(entry: ShardEntry, data: RowsSpec) -> "pd.DataFrame":
    """Make the columns and their dtypes from one made-up row: nothing is read."""
    rows: Rows = {}
    for field in entry.fields:
        dtype = np.dtypes.StringDType() if field.dtype == "string" else np.dtype(field.dtype)
        rows[field.name] = np.zeros((1, *field.shape), dtype)
    return make_frame(rows, entry.model_copy(update={"rows": 1, "source": ()}), data).iloc[:0]


def _list_statistics(entry: ShardEntry, data: RowsSpec) -> dict[str, ColumnStatistics]:
    """List what the manifest knows of the columns, so that a shard that is fine is not read."""
    keys = {column.key: column.name for column in list_scalars(data) if column.role == "number"}
    keys |= name_statistics(entry.statistics, data)
    found = {}
    for key, name in keys.items():
        figures = entry.statistics.get(key)
        if figures is not None and not figures.inf and figures.count == entry.rows:
            found[name] = _translate(figures)
    return found


def name_statistics(statistics: Iterable[str], data: RowsSpec) -> dict[str, str]:
    """Name derived figures and the label, by the keys of their statistics, as the frame does."""
    prefix = find_task_form(data).derived_prefix
    names = {key: prefix + key.removeprefix(PREFIX) for key in statistics if key.startswith(PREFIX)}
    return names | {LABEL: "label"}


def _translate(figures: FieldStatistics) -> ColumnStatistics:
    least, greatest = figures.min, figures.max
    return ColumnStatistics(
        missing=figures.null + figures.nan,
        min=None if least is None else float(least),
        max=None if greatest is None else float(greatest),
    )
