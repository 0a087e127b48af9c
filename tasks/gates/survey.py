"""From a version of a table or of series to the facts that its gates judge: statistics first, then one pass over columns."""

import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.engine.on_fail import BadRows
from gates.engine.report import MAX_ROWS_NAMED
from gates.raw.column_checks import ColumnFacts, ColumnsFacts
from gates.raw.predictors import BINS, LEADS, Bins, bin_column, measure_strength
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, TIME, name_field
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.sorting import count_unsorted, inspect_series
from storage.pipeline.timeline import Timeline
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows
from storage.shards.shard import ShardEntry, read_shard
from storage.shards.statistics import FieldStatistics
from storage.upkeep.duplicates import count_duplicates

SLACK = timedelta(days=1)
"""How far ahead of this machine's clock a time may lie."""
MOST_PREDICTORS = 512


def survey_columns(
    version: Version, data: TableSpec, client: TaskClient | None = None
) -> ColumnsFacts:
    """The facts that the raw gate judges. Rows are read shard by shard."""
    statistics = version.statistics()
    label = statistics.get(LABEL)
    return ColumnsFacts(
        columns=tuple(_describe_columns(data, statistics, version.rows)),
        rows=version.rows,
        unread=name_unread(version),
        duplicates=count_duplicates(version),
        labels=data.labels,
        label_counts=_count_labels(label),
        undeclared=tuple(version.info.get("undeclared", ())),
        time=_inspect_time(version, data) if data.time is not None else {},
        predictors=_measure_predictors(version, data, statistics, client),
    )


def name_unread(version: Version) -> BadRows:
    """How many records of the source could not be read, and of the first ones which, and why."""
    count = int(version.info.get("fault_count", 0))
    first = version.info.get("faults", [])[:MAX_ROWS_NAMED]
    return BadRows(
        count, version.rows + count, tuple(f"{fault['name']} {fault['reason']}" for fault in first)
    )


def list_columns(data: TableSpec) -> list[tuple[str, str, str]]:
    """The columns that are learned from or learned: name, name in the manifest's statistics, role."""
    found = [(name, f"{NUMBERS}.{name}", "number") for name in data.numbers]
    found += [(name, name_field(name), "text") for name in data.texts]
    found += [(data.label, LABEL, "label")] if data.label is not None else []
    found += [(data.target, TARGET, "target")] if data.target is not None else []
    return found


def _describe_columns(
    data: TableSpec, statistics: Mapping[str, FieldStatistics], rows: int
) -> Iterator[ColumnFacts]:
    for name, key, role in list_columns(data):
        figures = statistics.get(key, FieldStatistics(count=rows, null=rows))
        yield ColumnFacts.model_validate(
            {
                "column": name,
                "role": role,
                "rows": rows,
                "missing": figures.null + figures.nan,
                "infinite": figures.inf,
                "std": figures.std,
                "distinct": len(figures.distinct) if figures.distinct is not None else None,
            }
        )


def _count_labels(label: FieldStatistics | None) -> dict[int, int]:
    found = (label.distinct if label is not None else None) or {}
    return {int(value): count for value, count in found.items()}


def _inspect_time(version: Version, data: TableSpec) -> dict[str, int]:
    """Figures of the time column; those on its order only for series, of which the order means something."""
    found = {"undated": 0, "future": 0}
    latest = find_latest()

    def read(entry: ShardEntry) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        known = {field.name for field in entry.fields}
        wanted = [name for name in (TIME, TIME + VALID_SUFFIX, SERIES_ID) if name in known]
        rows = version.read_shard(entry, wanted, verify=False)
        dated = rows.get(TIME + VALID_SUFFIX, np.ones(entry.rows, np.bool_))
        entities = rows.get(SERIES_ID, np.zeros(entry.rows, np.int64))
        return entities[dated], rows[TIME][dated], np.zeros(int(dated.sum()), np.int64)

    def count() -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        for entry in version.shards:
            entities, times, _ = read(entry)
            found["undated"] += entry.rows - len(times)
            found["future"] += int((times > latest).sum())
            yield entities, times

    unsorted = count_unsorted(count())
    if not isinstance(data, SeriesSpec):
        return found | {"repeated": 0, "unsorted": 0, "gaps": 0}
    report = inspect_series(Timeline(version.shards, read), unsorted)
    return found | {
        "repeated": report.duplicate_count,
        "unsorted": unsorted,
        "gaps": report.gap_count,
    }


def find_latest() -> int:
    """The latest time that is not in the future, in nanoseconds since 1970."""
    return int((datetime.now(UTC) + SLACK).timestamp() * 1e9)


def _measure_predictors(
    version: Version,
    data: TableSpec,
    statistics: Mapping[str, FieldStatistics],
    client: TaskClient | None,
) -> dict[str, float]:
    """How nearly each column alone gives the answer away; empty where nothing is to be predicted."""
    if data.label is None and data.target is None:
        return {}
    limits = {
        name: _read_limits(statistics, key)
        for name, key, role in list_columns(data)
        if role == "number"
    }
    work = partial(
        bin_shard,
        shards=version.dataset.shards,
        data=data,
        limits=limits,
        answer=_read_scale(statistics),
    )
    merged: dict[str, Bins] = {}
    for part in map_in_order(work, version.shards, client):
        for name, bins in part.items():
            merged[name] = merged[name].merge(bins) if name in merged else bins
    return {name: measure_strength(bins) for name, bins in merged.items()}


def bin_shard(
    entry: ShardEntry,
    shards: Store,
    data: TableSpec,
    limits: Mapping[str, tuple[float, float]],
    answer: tuple[float, float],
) -> dict[str, Bins]:
    """Sums of one shard by column; runs on a worker."""
    fields = (LABEL, TARGET, NUMBERS, SERIES_ID, *map(name_field, data.texts))
    wanted = {field for name in fields for field in (name, name + VALID_SUFFIX)}
    rows = read_shard(
        shards, entry, [field.name for field in entry.fields if field.name in wanted], verify=False
    )
    classes = len(data.labels)
    target = _read_answer(rows, data, answer)
    series = isinstance(data, SeriesSpec)
    entities = rows[SERIES_ID] if series else None
    leads = LEADS if series and len(data.numbers) <= MOST_PREDICTORS // len(LEADS) else (0,)
    found: dict[str, Bins] = {}
    for number, name in enumerate(data.numbers[:MOST_PREDICTORS]):
        values = np.where(rows[NUMBERS + VALID_SUFFIX][:, number], rows[NUMBERS][:, number], np.nan)
        found[name] = bin_column(
            values, target, limits[name], classes=classes, leads=leads, entities=entities
        )
    for name in data.texts:
        codes = code_texts(rows[name_field(name)])
        found[name] = bin_column(codes, target, (0, BINS), classes=classes)
    return found


def _read_answer(rows: Rows, data: TableSpec, answer: tuple[float, float]) -> NDArray[Any]:
    """The label, below 0 where it is missing, or the target, standardised, NaN where it is missing."""
    if data.label is not None:
        label: NDArray[Any] = rows[LABEL]
        return np.where(rows.get(LABEL + VALID_SUFFIX, np.ones(len(label), np.bool_)), label, -1)
    target = rows[TARGET]
    valid = rows.get(TARGET + VALID_SUFFIX, np.ones(len(target), np.bool_)) & np.isfinite(target)
    return np.where(valid, (target - answer[0]) / answer[1], np.nan)


def _read_limits(statistics: Mapping[str, FieldStatistics], key: str) -> tuple[float, float]:
    figures = statistics.get(key)
    known = figures is not None and figures.min is not None and figures.max is not None
    return (
        (float(figures.min or 0), float(figures.max or 0))
        if known and figures is not None
        else (0.0, 0.0)
    )


def _read_scale(statistics: Mapping[str, FieldStatistics]) -> tuple[float, float]:
    """Mean and standard deviation of the target, for sums that keep their digits."""
    figures = statistics.get(TARGET)
    if figures is None or figures.mean is None:
        return 0.0, 1.0
    return figures.mean, figures.std or 1.0


def code_texts(values: NDArray[Any]) -> NDArray[np.float64]:
    """A bin for each text, the same in every shard."""
    known = {text: zlib.crc32(text.encode()) % BINS + 0.5 for text in set(values.tolist())}
    return np.array([known[text] for text in values.tolist()], np.float64)
