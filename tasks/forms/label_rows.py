"""Opens labels for gates, shard by shard; from the manifest where it knows them all."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.engine.sharded_table import ColumnStatistics, Shard, ShardedTable
from storage.base.store import Store
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import LABEL, ROW_ID, VALID_SUFFIX
from storage.shards.statistics import FieldStatistics
from storage.upkeep.quarantine import name_source

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = (ROW_ID, "source")


def open_labels(version: Version) -> ShardedTable:
    """Open one row a sample: row_id, source and label, if there is one; NaN where it is missing."""
    lost = version.statistics().get(LABEL, FieldStatistics()).null > 0
    return ShardedTable(
        tuple(_open_shard(entry, version.dataset.shards, lost) for entry in version.shards),
        IDENTITY,
    )


def count_labels(version: Version, split: str | None = None) -> dict[int, int]:
    """Count the rows with each label, of a split or of all; rows without one are left out."""
    known = version.statistics(split).get(LABEL)
    if known is None:
        return {}
    if known.distinct is not None:
        return {int(label): rows for label, rows in known.distinct.items()}
    counts: dict[int, int] = {}
    for entry in version.iter_shards(split):
        labels = load_labels((LABEL,), entry, version.dataset.shards, lost=True)[LABEL].dropna()
        for label, rows in zip(
            *np.unique(labels.to_numpy(np.int64), return_counts=True), strict=True
        ):
            counts[int(label)] = counts.get(int(label), 0) + int(rows)
    return counts


def _open_shard(entry: ShardEntry, shards: Store, lost: bool) -> Shard:
    load = partial(load_labels, entry=entry, shards=shards, lost=lost)
    head = load((), entry=entry.model_copy(update={"rows": 0}))
    return Shard(entry.digest[:12], entry.rows, head, load, _list_statistics(entry))


def load_labels(
    columns: tuple[str, ...] | None, entry: ShardEntry, shards: Store, lost: bool
) -> "pd.DataFrame":
    """Load the columns of a shard that are asked for; an empty shard has them all."""
    import pandas as pd

    def is_asked(name: str) -> bool:
        return columns is None or name in columns or not entry.rows

    fields = [
        field for field in entry.fields if field.name in (ROW_ID, LABEL, LABEL + VALID_SUFFIX)
    ]
    asked = [field.name for field in fields if is_asked(field.name.removesuffix(VALID_SUFFIX))]
    empty = {field.name: np.zeros(0, field.dtype) for field in fields}
    rows = read_shard(shards, entry, asked, verify=False) if entry.rows else empty
    found: dict[str, Any] = {ROW_ID: rows[ROW_ID]} if ROW_ID in rows else {}
    if LABEL in rows:
        valid = rows.get(LABEL + VALID_SUFFIX, True)
        found[LABEL] = (
            np.where(valid, rows[LABEL].astype(np.float64), np.nan) if lost else rows[LABEL]
        )
    if entry.source and is_asked("source"):
        found["source"] = pd.Series(
            [name_source(entry, place) for place in range(entry.rows)], dtype=object
        )
    return pd.DataFrame(found)


def _list_statistics(entry: ShardEntry) -> dict[str, ColumnStatistics]:
    """List what the manifest knows of the columns, so that labels that are fine are not read."""
    found = {}
    ids, labels = entry.statistics.get(ROW_ID), entry.statistics.get(LABEL)
    if ids is not None and ids.count == entry.rows:
        found[ROW_ID] = ColumnStatistics(missing=ids.null)
    if labels is not None and labels.count == entry.rows and labels.min is not None:
        distinct = (
            None if labels.distinct is None else tuple(int(label) for label in labels.distinct)
        )
        found[LABEL] = ColumnStatistics(
            missing=labels.null, min=labels.min, max=labels.max, distinct=distinct
        )
    return found
