"""Surveys a table or series for the raw gate: statistics first, then one pass of rows."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gates.raw.column_facts import ColumnFacts, ColumnsFacts, UnreadableFacts
from storage.base.cells import LARGEST
from storage.base.parallel import TaskClient
from storage.datasets.version import Version
from storage.forms.columns import SERIES_ID, TIME
from storage.forms.table import TableSpec
from storage.pipeline.sorting import count_unsorted, inspect_series
from storage.pipeline.timeline import Timeline
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import LABEL, VALID_SUFFIX
from storage.shards.statistics import FieldStatistics
from storage.upkeep.duplicates import count_duplicates
from tasks.data.row_names import name_unread
from tasks.forms.columns import Column, find_present, read_column, read_presence
from tasks.forms.table.columns import list_columns
from tasks.forms.table.predictors import measure_predictors

SLACK = timedelta(days=1)
"""How far ahead of this machine's clock a time may lie."""
Moments = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def survey_columns(
    version: Version, data: TableSpec, *, ordered: bool, client: TaskClient | None = None
) -> ColumnsFacts:
    """Gather the facts that the raw gate judges; rows are read shard by shard.

    Args:
        version: Raw rows.
        data: What the recipe says of them.
        ordered: Whether the rows of an entity follow each other in time.
        client: Where the work on rows is done; None for here.
    """
    label = version.statistics().get(LABEL)
    unreadable = _list_unreadable(data, version)
    return ColumnsFacts(
        columns=tuple(_describe_columns(data, version, unreadable)),
        rows=version.rows,
        unread=name_unread(version),
        duplicates=count_duplicates(version),
        labels=data.labels,
        label_counts=_count_labels(label),
        unreadable=unreadable,
        undeclared=tuple(version.info.get("undeclared", ())),
        time=_inspect_time(version, ordered=ordered) if data.time is not None else {},
        predictors=measure_predictors(version, data, ordered=ordered, client=client),
    )


def _list_unreadable(data: TableSpec, version: Version) -> dict[str, UnreadableFacts]:
    """List what of each column of numbers, target and time is there and is none."""
    found = version.info.get("unreadable", {})
    named = (*data.numbers, *filter(None, (data.target_column, data.time_name)))
    return {name: UnreadableFacts.model_validate(found.get(name, {})) for name in named}


def _describe_columns(
    data: TableSpec, version: Version, unreadable: Mapping[str, UnreadableFacts]
) -> Iterator[ColumnFacts]:
    statistics, rows = version.statistics(), version.rows
    for column in list_columns(data):
        figures = statistics.get(column.key, FieldStatistics(count=rows, null=rows))
        # What cannot be read is not missing; a row without an answer lacks it either way.
        odd = unreadable[column.name].count if column.role == "number" else 0
        yield ColumnFacts.model_validate(
            {
                "column": column.name,
                "role": column.role,
                "rows": rows,
                "missing": figures.null + figures.nan - odd,
                "infinite": figures.inf + _count_vast(version, column, figures),
                "std": figures.std,
                "distinct": len(figures.distinct) if figures.distinct is not None else None,
            }
        )


def is_vast(figures: FieldStatistics) -> bool:
    """Return whether numbers of a column are finite, and yet too large for a model."""
    ends = [end for end in (figures.min, figures.max) if end is not None]
    return any(abs(end) > LARGEST for end in ends)


def _count_vast(version: Version, column: Column, figures: FieldStatistics) -> int:
    """Count the finite numbers that are too large for a model; rows are read if there are some."""
    if not is_vast(figures):
        return 0
    found, wanted = 0, (column.field, column.field + VALID_SUFFIX)
    for entry in version.shards:
        fields = [field.name for field in entry.fields if field.name in wanted]
        rows = version.read_shard(entry, fields, verify=False)
        sizes = np.abs(read_column(rows, column))
        found += int((read_presence(rows, column) & (sizes > LARGEST) & np.isfinite(sizes)).sum())
    return found


def _count_labels(label: FieldStatistics | None) -> dict[int, int]:
    found = (label.distinct if label is not None else None) or {}
    return {int(value): count for value, count in found.items()}


def _inspect_time(version: Version, *, ordered: bool) -> dict[str, int]:
    """Count what is wrong with times; with their order only where it means something."""
    found = {"undated": 0, "future": 0}
    latest = find_latest()

    def read(entry: ShardEntry) -> Moments:
        return _read_moments(version, entry)

    def count() -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        for entry in version.shards:
            entities, times, _ = read(entry)
            found["undated"] += entry.rows - len(times)
            found["future"] += int((times > latest).sum())
            yield entities, times

    unsorted = count_unsorted(count())
    if not ordered:
        return found | {"repeated": 0, "unsorted": 0, "gaps": 0}
    report = inspect_series(Timeline(version.shards, read), unsorted)
    return found | {
        "repeated": report.duplicate_count,
        "unsorted": unsorted,
        "gaps": report.gap_count,
    }


def _read_moments(version: Version, entry: ShardEntry) -> Moments:
    """Read entities and times of a shard's rows that have a time, and a zero for each of them."""
    known = {field.name for field in entry.fields}
    wanted = [name for name in (TIME, TIME + VALID_SUFFIX, SERIES_ID) if name in known]
    rows = version.read_shard(entry, wanted, verify=False)
    dated = find_present(rows, TIME)
    entities = rows.get(SERIES_ID, np.zeros(entry.rows, np.int64))
    return entities[dated], rows[TIME][dated], np.zeros(int(dated.sum()), np.int64)


def find_latest() -> int:
    """Find the latest time that is not in the future, in nanoseconds since 1970."""
    return int((datetime.now(UTC) + SLACK).timestamp() * 1e9)
