"""One version of a dataset: its shards, their statistics, and the ways to read it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from storage.base.errors import NotFound
from storage.datasets.files import DatasetFiles
from storage.datasets.log import LogEntry
from storage.datasets.manifest import Manifest, count_splits, read_manifest
from storage.shards.entry import FieldSpec, ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import Rows
from storage.shards.statistics import FieldStatistics, merge_statistics

_THREADS = 4


@dataclass(frozen=True, eq=False)
class Version:
    """An immutable published state of a dataset.

    Attributes:
        dataset: The dataset.
        entry: Its entry in the log.
        digest: SHA-256 of that entry: the identity of the version.
        manifest_digest: SHA-256 of its manifest.
        manifest: The manifest, where it has been read already.
    """

    dataset: DatasetFiles
    entry: LogEntry
    digest: str
    manifest_digest: str
    manifest: Manifest | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.dataset.name

    @property
    def number(self) -> int:
        """Place in the log."""
        return self.entry.number

    @property
    def ref(self) -> str:
        """`name@number`, as the command line takes it."""
        return f"{self.name}@{self.number}"

    @property
    def info(self) -> dict[str, Any]:
        """What the writer recorded."""
        return dict(self.entry.info)

    @property
    def created_at(self) -> datetime:
        """When it was committed, in UTC."""
        return self.entry.created_at

    @cached_property
    def shards(self) -> tuple[ShardEntry, ...]:
        """Its shards, in order."""
        manifest = self.manifest or read_manifest(self.dataset.manifests, self.manifest_digest)
        return manifest.shards

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        """Its fields; none if it has no rows."""
        return self.shards[0].fields if self.shards else ()

    @property
    def splits(self) -> dict[str, int]:
        """Rows of each split."""
        return count_splits(self.shards)

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(shard.rows for shard in self.shards)

    def iter_shards(self, split: str | None = None) -> Iterator[ShardEntry]:
        """Return the shards of a split, or all.

        Raises:
            NotFound: There is no such split.
        """
        if split is not None and split not in self.splits:
            raise NotFound(
                f"split {split!r} of {self.ref} must be one of {sorted(self.splits)}; choose one "
                "of these, or prepare it"
            )
        return (shard for shard in self.shards if split is None or shard.split == split)

    def statistics(self, split: str | None = None) -> dict[str, FieldStatistics]:
        """Return the statistics of each field over a split or all rows, from the manifest alone."""
        parts: dict[str, list[FieldStatistics]] = {}
        for shard in self.iter_shards(split):
            for name, statistics in shard.statistics.items():
                parts.setdefault(name, []).append(statistics)
        return {name: merge_statistics(found) for name, found in parts.items()}

    def read_shard(
        self, entry: ShardEntry, fields: Sequence[str] | None = None, *, verify: bool = True
    ) -> Rows:
        """Return the rows of one shard; see `storage.shards.reading.read_shard`."""
        return read_shard(self.dataset.shards, entry, fields, verify=verify)

    def read(self, split: str | None = None, fields: Sequence[str] | None = None) -> Rows:
        """Return all rows of a split, or all, in memory.

        Raises:
            NotFound: There is no such split, or there are no rows.
            Corrupt: A shard is damaged.
        """
        with ThreadPoolExecutor(_THREADS, "lepton-read") as threads:
            parts = list(
                threads.map(lambda shard: self.read_shard(shard, fields), self.iter_shards(split))
            )
        if not parts:
            raise NotFound(f"{self.ref} must have rows to be read; got none; collect data first")
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
