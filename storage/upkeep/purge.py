"""Deletes rows for good, as the law can ask: from every version of a dataset.

The log is not rewritten. A purge adds an entry that says which manifest stands in for which, and
then deletes the shards that held the rows. So every older version still opens, without the rows,
and the chain of the log still proves what was done and when. Whoever publishes afterwards is
refused if the rows come back, from the source for instance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import NotFound
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.files import name_node, name_shard
from storage.datasets.guards import check_uncollected
from storage.datasets.log import LoggedEntry
from storage.datasets.manifest import count_splits, name_manifest, write_manifest
from storage.datasets.version import Version
from storage.records.receipt_files import FOLDER as RECEIPTS
from storage.records.receipt_files import read_receipt
from storage.shards.entry import ShardEntry
from storage.upkeep.edits import drop_rows, find_row_ids
from storage.upkeep.gc import collect_garbage, find_live


@dataclass(frozen=True)
class Purged:
    """What a purge did.

    Attributes:
        dataset: Name of the dataset.
        number: Number of its entry in the log.
        row_ids: The rows, ascending.
        versions: Numbers of the versions that held one of them.
        models: Ids of the models whose receipt names one of these versions: they had seen the rows.
        shards: Shards that were deleted.
    """

    dataset: str
    number: int
    row_ids: tuple[int, ...]
    versions: tuple[int, ...]
    models: tuple[str, ...]
    shards: int


def purge_rows(
    dataset: Dataset, row_ids: Sequence[int] | NDArray[np.uint64], *, reason: str
) -> Purged:
    """Deletes rows from every version of a dataset.

    Args:
        dataset: The dataset.
        row_ids: Ids of the rows, shape (K,).
        reason: Kept in the log; do not name a person.

    Raises:
        NotFound: A row id is in no version.
        Conflict: Other writers won every time.
    """
    head = dataset.history.find_head()
    if head is not None and head.entry.dropped:
        collect_garbage(dataset, 0)  # What dropped versions have left may hold the rows, too.
    job = _Purge(dataset, np.unique(np.asarray(row_ids, np.uint64)), reason)
    logged = dataset.record(job.change)
    job.delete_files()
    return Purged(
        dataset=dataset.name,
        number=logged.entry.number,
        row_ids=tuple(job.row_ids.tolist()),
        versions=tuple(job.versions),
        models=find_models(dataset.workspace, dataset.name, job.versions),
        shards=len(job.replaced),
    )


def find_models(workspace: Store, name: str, versions: Iterable[int]) -> tuple[str, ...]:
    """Return the ids, sorted, of models whose receipt names one of these versions."""
    numbers, models = set(versions), set[str]()
    for file in workspace.listdir(RECEIPTS):
        receipt = (
            read_receipt(workspace, file.removesuffix(".json")).receipt
            if file.endswith(".json")
            else None
        )
        if receipt is None or receipt.model is None:
            continue
        if any(
            record.name == name and record.number in numbers for record in receipt.datasets.values()
        ):
            models.add(receipt.model.id)
    return tuple(sorted(models))


class _Purge:
    """One purge, which may have to look again when another writer was faster."""

    def __init__(self, dataset: Dataset, row_ids: NDArray[np.uint64], reason: str) -> None:
        self.dataset = dataset
        self.row_ids = row_ids
        self.reason = reason
        self.replaced: dict[str, ShardEntry | None] = {}
        self.versions: list[int] = []
        self._manifests: dict[str, str] = {}
        self._nodes: set[str] = set()
        self._found: dict[str, NDArray[np.uint64]] = {}

    def change(self, head: LoggedEntry | None) -> dict[str, Any]:
        """Writes what stands in for the shards and manifests with the rows.

        Gives the entry of the log that says so.
        """
        self.versions, self._manifests, self._nodes = [], {}, set()
        latest: Version | None = None
        for version in self.dataset.iter_versions(head):
            latest = version
            find_row_ids(self.dataset, version.shards, self.row_ids, self._found)
            if any(self._found[shard.digest].size for shard in version.shards):
                self._replace_manifest(version, head)
        missing = np.setdiff1d(
            self.row_ids, np.concatenate([*self._found.values(), np.empty(0, np.uint64)])
        )
        if missing.size or head is None or latest is None:
            raise NotFound(
                f"row ids {missing[:20].tolist()} must be in a version of dataset "
                f"{self.dataset.name}; they are in none; check the ids"
            )
        info = {
            "row_ids": [str(row) for row in self.row_ids.tolist()],
            "manifests": self._manifests,
            "shards": sorted(self.replaced),
            "nodes": sorted(self._nodes),
        }
        return {
            "kind": "purge",
            "purges": (*head.entry.purges, head.entry.number + 1),
            "rows": count_splits(self._rewrite(latest.shards)),
            "info": {**info, "versions": self.versions, "reason": self.reason},
            "message": f"{len(self.row_ids)} rows deleted for good",
        }

    def _replace_manifest(self, version: Version, head: LoggedEntry | None) -> None:
        """Writes the manifest that stands in for a version's."""
        self.versions.append(version.number)
        before = self.dataset.read_manifest(version.manifest_digest)
        known = set(map(id, before.shards))
        shards = self._rewrite(before.shards)
        manifest = write_manifest(self.dataset.manifests, shards, before)
        fresh = [shard for shard in shards if id(shard) not in known]
        check_uncollected(self.dataset, fresh, manifest.nodes.keys() - before.nodes.keys(), head)
        self._manifests[version.manifest_digest] = manifest.digest
        self._nodes |= before.nodes.keys() - manifest.nodes.keys()

    def delete_files(self) -> None:
        """Deletes the shards and manifests with the rows, unless an equal one is still in use."""
        live = find_live(self.dataset, None, {})
        for digest in self.replaced:
            for file in self.dataset.shards.list(digest) if name_shard(digest) not in live else ():
                self.dataset.shards.delete(file)
        for node in self._nodes:
            if name_node(node) not in live:
                self.dataset.manifests.delete(name_manifest(node))

    def _rewrite(self, shards: Sequence[ShardEntry]) -> list[ShardEntry]:
        kept: list[ShardEntry] = []
        for shard in shards:
            if not self._found[shard.digest].size:
                kept.append(shard)
                continue
            if shard.digest not in self.replaced:
                self.replaced[shard.digest] = drop_rows(self.dataset, shard, self.row_ids)
            rewritten = self.replaced[shard.digest]
            if rewritten is not None:
                kept.append(
                    rewritten.model_copy(update={"split": shard.split, "source": shard.source})
                )
        return kept
