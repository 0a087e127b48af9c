"""Gates on data: from a version's manifest and its small columns to the facts that the raw and prepared gates judge."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gates.prepared import PreparedFacts, judge_prepared
from gates.raw import RawFacts, judge_raw
from gates.report import GateReport
from gates.specs import PreparedGate, RawGate
from gates.tables import FieldFacts, FieldRule, ShardFacts, Table, tabulate_rows, tabulate_shards
from storage.errors import Corrupt
from storage.files import Store
from storage.receipts import DatasetRecord
from storage.rows import Rows
from storage.shards import ShardEntry
from storage.specs import DataSpec
from storage.versions import Dataset, Version
from tasks.results import Collected, Prepared
from tasks.stage import gate

KEYS = ("row_id", "content_hash", "label")
VALID = "label__valid"


@gate
def gate_raw(workspace: str, collected: Collected, data: DataSpec, limits: RawGate) -> GateReport:
    """Judges the raw rows against what the recipe declares."""
    version = open_version(Store(workspace), collected.dataset)
    facts = RawFacts(
        shards=tabulate_shards(_describe_shard(entry, data) for entry in version.shards),
        rows=_tabulate_rows(version),
        fields=_declare_fields(data),
        labels=data.labels,
    )
    return judge_raw(limits, facts)


@gate
def gate_prepared(
    workspace: str, collected: Collected, prepared: Prepared, data: DataSpec, limits: PreparedGate
) -> GateReport:
    """Judges the splits before a model learns from one and is judged on another."""
    version = open_version(Store(workspace), prepared.dataset)
    fitted = prepared.fitted
    facts = PreparedFacts(
        shards=tabulate_shards(_describe_shard(entry, data) for entry in version.shards),
        rows=_tabulate_rows(version),
        fields=_declare_fields(data),
        labels=data.labels,
        fitted={"image": (fitted.mean, fitted.std)},
        rows_collected=sum(collected.dataset.rows.values()),
        rows_dropped=fitted.dropped,
    )
    return judge_prepared(limits, facts)


def open_version(workspace: Store, record: DatasetRecord) -> Version:
    """The version that a record names, if it still is the one that was recorded.

    Raises:
        Corrupt: The log now holds another version under that number.
    """
    version = Dataset(workspace, record.name).open(record.number)
    if version.digest != record.digest:
        raise Corrupt(
            f"dataset {record.ref} must have digest {record.digest}; got {version.digest}; the log was replaced: run again"
        )
    return version


def iter_rows(version: Version, split: str, fields: tuple[str, ...]) -> Iterator[Rows]:
    """Rows of a split, one shard in memory at a time."""
    for entry in version.iter_shards(split):
        yield version.read_shard(entry, fields)


def _declare_fields(data: DataSpec) -> dict[str, FieldRule]:
    image = data.image
    return {"image": FieldRule(dtype=image.dtype, shape=image.shape, value_range=image.value_range)}


def _describe_shard(entry: ShardEntry, data: DataSpec) -> ShardFacts:
    """A shard's figures, as its manifest states them."""
    statistics = entry.statistics["image"]
    field = entry.find_field("image")
    return ShardFacts(
        shard=entry.digest[:12],
        rows=entry.rows,
        split=entry.split,
        source=", ".join(sorted({span.name for span in entry.source})),
        fields={
            "image": FieldFacts(
                dtype=field.dtype,
                shape=field.shape,
                min=statistics.min,
                max=statistics.max,
                nan=statistics.nan,
                null=statistics.null,
                inf=statistics.inf,
            )
        },
    )


def _tabulate_rows(version: Version) -> Table:
    """One row a sample: its id, label, content, split and shard; the images stay where they are."""
    columns: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in (*KEYS, "split", "shard")}
    masked = any(field.name == VALID for field in version.fields)
    if masked:
        columns[VALID] = []
    for entry in version.shards:
        rows = version.read_shard(entry, (*KEYS, VALID) if masked else KEYS)
        for name in rows:
            columns[name].append(rows[name])
        columns["split"].append(np.full(entry.rows, entry.split))
        columns["shard"].append(np.full(entry.rows, entry.digest[:12]))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return tabulate_rows(
        row_id=joined["row_id"],
        label=joined["label"],
        content_hash=joined["content_hash"],
        split=joined["split"],
        label_valid=joined.get(VALID),
        extra={"shard": joined["shard"]},
    )
