"""The rows of a version as the table that expectations on rows are applied to: read shard by shard, here or on workers."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.engine.custom import OwnExpectation, parse_suite, read_suite
from gates.engine.sharded_table import ColumnStatistics, Shard, ShardedTable
from gates.errors import SuiteError
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, TIME, name_field
from storage.forms.image import ImageSpec
from storage.forms.table import TableSpec
from storage.pipeline.derived import PREFIX, derive_columns
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows
from storage.shards.shard import ShardEntry, read_shard
from storage.shards.statistics import FieldStatistics

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ("row_id", "source")
FEWEST_ROWS = 200_000
"""From which rows are judged on workers: each takes seconds to import Great Expectations first."""


def open_rows(version: Version, data: RowsSpec, client: TaskClient | None = None) -> ShardedTable:
    """The rows of a version: row_id, source, the recipe's columns by name, label, and derived columns."""
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
    """Rows of a shard as a frame; only the fields that the columns need are read. Runs on a worker."""
    plain = {"row_id", "source", "time", "series_id", "label", *_list_plain(data)}
    derived = columns is None or any(column not in plain for column in columns)
    fields = sorted(
        field.name
        for field in entry.fields
        if derived or _is_needed(field.name, columns or (), data)
    )
    rows = read_shard(shards, entry, fields or ["row_id"], verify=False)
    return make_frame(
        rows, entry, data, derived=derived, sources=columns is None or "source" in columns
    )


def _list_plain(data: RowsSpec) -> tuple[str, ...]:
    """The recipe's columns, without the label, which is called `label`."""
    if not isinstance(data, TableSpec):
        return ()
    return (*data.numbers, *data.texts, *((data.target,) if data.target is not None else ()))


def _is_needed(field: str, columns: tuple[str, ...], data: RowsSpec) -> bool:
    """Whether a field holds one of these columns."""
    name = field.removesuffix(VALID_SUFFIX)
    if isinstance(data, TableSpec):
        if name == NUMBERS:
            return any(column in data.numbers for column in columns)
        if name == TARGET:
            return data.target in columns
        return name in columns or any(name_field(column) == name for column in columns)
    return name in columns


def make_frame(
    rows: Rows, entry: ShardEntry, data: RowsSpec, *, derived: bool = True, sources: bool = True
) -> "pd.DataFrame":
    """Rows as a frame, as far as they were read; missing values are NaN, None or NaT."""
    import pandas as pd

    columns: dict[str, Any] = {"row_id": rows["row_id"]} if "row_id" in rows else {}
    if sources:
        columns["source"] = _name_sources(entry)
    table = data if isinstance(data, TableSpec) else None
    for at, name in enumerate(table.numbers if table is not None and NUMBERS in rows else ()):
        columns[name] = np.where(rows[NUMBERS + VALID_SUFFIX][:, at], rows[NUMBERS][:, at], np.nan)
    for name in table.texts if table is not None else ():
        field = name_field(name)
        if field in rows:
            columns[name] = _mask(rows[field].astype(object), rows.get(field + VALID_SUFFIX), None)
    if table is not None and table.target is not None and TARGET in rows:
        columns[table.target] = _mask(rows[TARGET], rows.get(TARGET + VALID_SUFFIX), np.nan)
    if TIME in rows:
        times = _mask(
            rows[TIME].view("datetime64[ns]"), rows.get(TIME + VALID_SUFFIX), np.datetime64("NaT")
        )
        columns["time"] = pd.Series(times)
    if SERIES_ID in rows:
        columns["series_id"] = rows[SERIES_ID]
    if LABEL in rows:
        columns["label"] = _mask(
            rows[LABEL].astype(np.float64), rows.get(LABEL + VALID_SUFFIX), np.nan
        )
    if derived:
        named = {field.name: field.columns for field in entry.fields if field.columns}
        prefix = "image." if isinstance(data, ImageSpec) else ""
        found = derive_columns(rows, named)
        columns |= {f"{prefix}{name}": values.astype(np.float64) for name, values in found.items()}
    return pd.DataFrame(columns)


def _mask(values: Any, valid: Any, missing: Any) -> Any:
    return values if valid is None else np.where(valid, values, missing)


def _name_sources(entry: ShardEntry) -> list[str]:
    """The file of each row, where the shard comes from one; else the files of all of them."""
    if len(entry.source) == 1:
        span = entry.source[0]
        exact = span.stop - span.start == entry.rows
        return [
            f"{span.name}:{span.start + row}" if exact else span.name for row in range(entry.rows)
        ]
    return [", ".join(sorted({span.name for span in entry.source}))] * entry.rows


def _make_head(entry: ShardEntry, data: RowsSpec) -> "pd.DataFrame":
    """The columns and their dtypes, from one made-up row: nothing is read."""
    rows: Rows = {}
    for field in entry.fields:
        dtype = np.dtypes.StringDType() if field.dtype == "string" else np.dtype(field.dtype)
        rows[field.name] = np.zeros((1, *field.shape), dtype)
    return make_frame(rows, entry.model_copy(update={"rows": 1, "source": ()}), data).iloc[:0]


def _list_statistics(entry: ShardEntry, data: RowsSpec) -> dict[str, ColumnStatistics]:
    """What the manifest knows of the columns, so that a shard that is fine is not read."""
    prefix = "image." if isinstance(data, ImageSpec) else ""
    keys = {
        f"{NUMBERS}.{name}": name for name in (data.numbers if isinstance(data, TableSpec) else ())
    }
    keys |= {
        key: prefix + key.removeprefix(PREFIX) for key in entry.statistics if key.startswith(PREFIX)
    }
    keys |= {LABEL: "label"}
    found = {}
    for key, name in keys.items():
        figures = entry.statistics.get(key)
        if figures is not None and not figures.inf and figures.count == entry.rows:
            found[name] = _translate(figures)
    return found


def _translate(figures: FieldStatistics) -> ColumnStatistics:
    least, greatest = figures.min, figures.max
    return ColumnStatistics(
        missing=figures.null + figures.nan,
        min=None if least is None else float(least),
        max=None if greatest is None else float(greatest),
    )


def gather_expectations(
    expectations: Sequence[OwnExpectation], suites: Sequence[str]
) -> tuple[OwnExpectation, ...]:
    """The recipe's own expectations and those of the suites that it names.

    Raises:
        SuiteError: A suite cannot be read, or is none.
    """
    return (*expectations, *(item for reference in suites for item in load_suite(reference)))


def load_suite(reference: str) -> tuple[OwnExpectation, ...]:
    """A suite by its path, or by `package.module:function`.

    Raises:
        SuiteError: It cannot be read, or is none.
    """
    module, _, name = reference.partition(":")
    if name and "/" not in reference and not reference.endswith(".json"):
        try:
            made = getattr(importlib.import_module(module), name)()
        except (ImportError, AttributeError) as error:
            raise SuiteError(
                f"suite ({reference}) must be importable; got: {error}; install its package"
            ) from error
        return read_suite(made, reference)
    try:
        text = Path(reference).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(
            f"suite ({reference}) must be a readable file; got: {error}; check the path"
        ) from error
    return parse_suite(text, reference)


def draft_suite(version: Version, data: RowsSpec) -> dict[str, Any]:
    """A suite in Great Expectations' JSON that the version passes, for a person to edit: ranges a tenth wider than seen."""
    statistics = version.statistics()
    rows = open_rows(version, data)
    expectations: list[dict[str, Any]] = [
        _draft("expect_table_row_count_to_be_between", min_value=max(1, version.rows // 2)),
    ]
    keys = {name: key for key, name in _name_statistics(statistics, data).items()}
    for column in rows.columns:
        figures = statistics.get(keys.get(column, ""))
        if figures is not None:
            expectations += _draft_column(column, figures)
    name = f"{version.name}-{version.number}"
    return {"name": name, "expectations": expectations, "meta": {"drafted_from": version.ref}}


def _name_statistics(statistics: Mapping[str, FieldStatistics], data: RowsSpec) -> dict[str, str]:
    prefix = "image." if isinstance(data, ImageSpec) else ""
    names = {
        key: prefix + key.removeprefix(PREFIX) for key in statistics if key.startswith(PREFIX)
    } | {LABEL: "label"}
    if isinstance(data, TableSpec):
        names |= {f"{NUMBERS}.{name}": name for name in data.numbers}
        names |= {name_field(name): name for name in data.texts}
        names |= {TARGET: data.target} if data.target is not None else {}
    return names


def _draft_column(column: str, figures: FieldStatistics) -> list[dict[str, Any]]:
    missing = (figures.null + figures.nan) / max(1, figures.count)
    found = []
    if missing < 1:
        mostly = round(max(0.0, 1 - missing - 0.01), 3) if missing else 1.0
        found.append(_draft("expect_column_values_to_not_be_null", column=column, mostly=mostly))
    if figures.distinct is not None and len(figures.distinct) <= 50:
        numeric = figures.min is not None
        values = [float(value) if numeric else value for value in figures.distinct]
        found.append(_draft("expect_column_values_to_be_in_set", column=column, value_set=values))
    elif figures.min is not None and figures.max is not None:
        margin = 0.1 * (figures.max - figures.min)
        low, high = figures.min - margin, figures.max + margin
        found.append(
            _draft(
                "expect_column_values_to_be_between", column=column, min_value=low, max_value=high
            )
        )
    return found


def _draft(rule: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": rule, "kwargs": kwargs, "meta": {"on_fail": "stop"}}
