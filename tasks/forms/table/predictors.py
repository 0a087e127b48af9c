"""Measures on workers how nearly single columns give the answer away."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.raw.predictors import BINS, LEADS, Bins, bin_column, measure_strength
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, name_field
from storage.forms.table import TableSpec
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows
from storage.shards.statistics import FieldStatistics
from tasks.forms.columns import find_present, read_column
from tasks.forms.table.columns import list_columns

MOST_PREDICTORS = 512


@dataclass(frozen=True)
class Binning:
    """Bins columns against the answer; it travels to workers.

    Attributes:
        data: What the recipe says of the rows.
        limits: Least and greatest value of each column of numbers.
        scale: Mean and standard deviation of the target, for sums that keep their digits.
        ordered: Whether the rows of an entity follow each other in time.
    """

    data: TableSpec
    limits: Mapping[str, tuple[float, float]]
    scale: tuple[float, float]
    ordered: bool

    @property
    def leads(self) -> tuple[int, ...]:
        """Steps by which the answer may lie ahead of a column."""
        few = len(self.data.numbers) <= MOST_PREDICTORS // len(LEADS)
        return LEADS if self.ordered and few else (0,)


def measure_predictors(
    version: Version, data: TableSpec, *, ordered: bool, client: TaskClient | None
) -> dict[str, float]:
    """Measure how nearly each column alone gives the answer away; without an answer nothing is."""
    if data.label is None and data.target is None:
        return {}
    statistics = version.statistics()
    limits = {
        column.name: _read_limits(statistics.get(column.key))
        for column in list_columns(data)
        if column.role == "number"
    }
    binning = Binning(data, limits, _read_scale(statistics.get(TARGET)), ordered)
    work = partial(bin_shard, shards=version.dataset.shards, binning=binning)
    merged: dict[str, Bins] = {}
    for part in map_in_order(work, version.shards, client):
        for name, bins in part.items():
            merged[name] = merged[name].merge(bins) if name in merged else bins
    return {name: measure_strength(bins) for name, bins in merged.items()}


def bin_shard(entry: ShardEntry, shards: Store, binning: Binning) -> dict[str, Bins]:
    """Sum one shard by column; runs on a worker."""
    data = binning.data
    texts = (name_field(name, data.texts) for name in data.texts)
    fields = (LABEL, TARGET, NUMBERS, SERIES_ID, *texts)
    wanted = {field for name in fields for field in (name, name + VALID_SUFFIX)}
    asked = [field.name for field in entry.fields if field.name in wanted]
    rows = read_shard(shards, entry, asked, verify=False)
    classes, answer = len(data.labels), _read_answer(rows, binning)
    columns = list_columns(data)
    found: dict[str, Bins] = {}
    for column in [each for each in columns if each.role == "number"][:MOST_PREDICTORS]:
        found[column.name] = bin_column(
            read_column(rows, column),
            answer,
            binning.limits[column.name],
            classes=classes,
            leads=binning.leads,
            entities=rows[SERIES_ID] if binning.ordered else None,
        )
    for column in columns:
        if column.role == "text":
            codes = code_texts(rows[column.field])
            found[column.name] = bin_column(codes, answer, (0, BINS), classes=classes)
    return found


def _read_answer(rows: Rows, binning: Binning) -> NDArray[Any]:
    """Read labels, below 0 where missing, or the standardised target, NaN where it is missing."""
    if binning.data.label is not None:
        return np.where(find_present(rows, LABEL), rows[LABEL], -1)
    target, (mean, deviation) = rows[TARGET], binning.scale
    valid = find_present(rows, TARGET) & np.isfinite(target)
    return np.where(valid, (target - mean) / deviation, np.nan)


def _read_limits(figures: FieldStatistics | None) -> tuple[float, float]:
    if figures is None or figures.min is None or figures.max is None:
        return 0.0, 0.0
    return float(figures.min), float(figures.max)


def _read_scale(figures: FieldStatistics | None) -> tuple[float, float]:
    """Read mean and standard deviation of the target."""
    if figures is None or figures.mean is None:
        return 0.0, 1.0
    return figures.mean, figures.std or 1.0


def code_texts(values: NDArray[Any]) -> NDArray[np.float64]:
    """Give each text a bin, the same in every shard."""
    known = {text: zlib.crc32(text.encode()) % BINS + 0.5 for text in set(values.tolist())}
    return np.array([known[text] for text in values.tolist()], np.float64)
