"""Finds the rows that came back and that the promoted model has not learned from."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.forms.registry import find_form
from storage.pipeline.derived import measure_derived
from storage.pipeline.publishing import publish_version
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, Rows, count_rows
from storage.shards.writing import write_shard
from storage.sources.joined import find_later, find_learnable, find_unfit, shape_rows
from tasks.feedback.models import KnownModel
from tasks.feedback.rows import AT
from tasks.feedback.series_rows import find_last

Mask = NDArray[np.bool_]
IDS = (ROW_ID, CONTENT_HASH)


@dataclass(frozen=True)
class Fresh:
    """Rows that a model has not learned from.

    Attributes:
        version: Those that fit the data section, with the fields of what the model learned from;
            None where there is none, or there are too few to look at.
        rows: How many there are, unfit ones among them.
        labelled: How many of those that fit have their truth.
        unfit: How many break what the data section declares.
        newest: When the newest of them was answered; None without one.
    """

    version: Version | None
    rows: int = 0
    labelled: int = 0
    unfit: int = 0
    newest: datetime | None = None


class FreshRows:
    """Tells the rows of a feedback version that a model has not learned from.

    Args:
        version: The feedback version.
        model: The model.
        data: What the recipe says of its rows.
    """

    def __init__(self, version: Version, model: KnownModel, data: RowsSpec) -> None:
        self.version, self.model, self.data = version, model, data
        self.ordered = find_form(data).ordered
        self._learned = _read_learned(version.name, model.raw, whole=self.ordered)
        self._last = (
            find_last(self._learned[SERIES_ID], self._learned[TIME]) if self.ordered else {}
        )

    def find(self, rows: Rows) -> Mask:
        """Mark fresh rows of a shard of the version, (N,)."""
        if not self.ordered:
            return ~np.isin(rows[ROW_ID], self._learned[ROW_ID])
        return find_later(rows, self._last)

    @property
    def key_fields(self) -> tuple[str, ...]:
        """Fields by which rows are told to be fresh."""
        return (SERIES_ID, TIME) if self.ordered else (ROW_ID,)

    def count(self) -> int:
        """Count the fresh rows."""
        return sum(
            int(self.find(self.version.read_shard(entry, self.key_fields)).sum())
            for entry in self.version.shards
        )

    def write(self, name: str) -> Fresh:
        """Write the fresh rows that fit as a version of a dataset, as far as there are some.

        It depends on the feedback version and the model only, so that writing again changes
        nothing.

        Args:
            name: Name of the dataset.
        """
        dataset = Dataset(self.version.dataset.workspace, name)
        entries: list[ShardEntry] = []
        total = labelled = unfit = 0
        newest = None
        for entry, rows in self._iter_rows():
            broken = find_unfit(rows, self.data)
            total, unfit = total + count_rows(rows), unfit + int(broken.sum())
            newest = max(int(rows[AT].max()), newest or 0)
            fit = {name: values[~broken] for name, values in rows.items()}
            labelled += int(find_learnable(fit).sum())
            if count_rows(fit):
                entries.append(self._write(dataset, entry, fit))
        info = {"feedback": self.version.digest, "model": self.model.id}
        version = publish_version(dataset, entries, kind="fresh", info=info) if entries else None
        at = None if newest is None else datetime.fromtimestamp(newest / 1e9, UTC)
        return Fresh(version, total, labelled, unfit, at)

    def _iter_rows(self) -> Iterator[tuple[ShardEntry, Rows]]:
        for entry in self.version.shards:
            rows = self.version.read_shard(entry)
            fresh = self.find(rows)
            if fresh.any():
                yield entry, {name: values[fresh] for name, values in rows.items()}

    def _write(self, dataset: Dataset, entry: ShardEntry, rows: Rows) -> ShardEntry:
        fields = tuple(field.name for field in self.model.raw.fields if field.name not in IDS)
        shaped = shape_rows(rows, fields, f"{self.version.ref} shard {entry.digest[:12]}")
        columns = {field.name: field.columns for field in self.model.raw.fields if field.columns}
        return write_shard(
            dataset.shards,
            shaped,
            columns=columns,
            source=entry.source,
            statistics=measure_derived(shaped, columns),
        )


def _read_learned(feedback: str, raw: Version, *, whole: bool) -> Rows:
    """Read the keys of what a model learned from.

    Args:
        feedback: Name of the feedback dataset, by which its rows in the raw version are known.
        raw: The raw version.
        whole: Whether all rows count, by series and time, and not only those that came back before.
    """
    fields = (SERIES_ID, TIME) if whole else (ROW_ID,)
    parts = [
        raw.read_shard(entry, fields)
        for entry in raw.shards
        if whole or any(span.name.startswith(f"{feedback}/") for span in entry.source)
    ]
    if not parts:
        return {name: np.zeros(0, np.uint64 if name == ROW_ID else np.int64) for name in fields}
    return {name: np.concatenate([part[name] for part in parts]) for name in fields}
