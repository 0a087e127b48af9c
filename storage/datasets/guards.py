"""What a commit is refused for: files that a collection deletes, and rows that a purge deleted."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np

from storage.base.errors import BeingCollected, Conflict
from storage.datasets.files import DatasetFiles, name_node, name_shard
from storage.datasets.log import LoggedEntry
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import ROW_ID

_THREADS = 8


def check_uncollected(
    dataset: DatasetFiles,
    shards: Sequence[ShardEntry],
    nodes: Collection[str],
    head: LoggedEntry | None,
) -> None:
    """Refuses to commit what a collection deletes, and what is not there.

    Args:
        dataset: The dataset.
        shards: Shards that the version before does not have.
        nodes: Digests of the nodes of the manifest that the version before does not have.
        head: The latest entry of the log.

    Raises:
        BeingCollected: A collection has begun to delete one of them.
        Conflict: A file of a shard is missing.
    """
    names = {name_shard(shard.digest) for shard in shards} | {name_node(node) for node in nodes}
    collecting = names & set(find_collecting(head))
    if collecting:
        raise BeingCollected(
            f"{sorted(collecting)[0]} of dataset {dataset.name} must not be collected while it is "
            "committed; a garbage collection is deleting it; write it again, and give collections "
            "a longer grace"
        )
    with ThreadPoolExecutor(_THREADS, "lepton-commit") as threads:
        found = threads.map(lambda shard: _find_missing(dataset, shard), shards)
        for shard, missing in zip(shards, found, strict=True):
            if missing:
                raise Conflict(
                    f"file {missing[0]} of shard {shard.digest} of dataset {dataset.name} must be "
                    "there when it is committed; it is missing, perhaps collected as garbage; "
                    "write it again, and give collections a longer grace"
                )


def check_unpurged(
    dataset: DatasetFiles, shards: Sequence[ShardEntry], head: LoggedEntry | None
) -> None:
    """Refuses shards with a row that was deleted for good.

    Raises:
        Conflict: Names the rows.
    """
    if not head or not head.entry.purges or not shards:
        return
    rows: list[Any] = []
    for number in head.entry.purges:
        listed: Any = dataset.history.read(number).entry.info["row_ids"]
        rows += [int(row) for row in listed]
    purged = np.array(rows, np.uint64)
    for shard in shards:
        found = np.intersect1d(read_shard(dataset.shards, shard, [ROW_ID])[ROW_ID], purged)
        if len(found):
            raise Conflict(
                f"rows of dataset {dataset.name} that were deleted for good must not come back; "
                f"got row ids {found[:20].tolist()} in shard {shard.digest}; remove them from the "
                "source, or collect again"
            )


def redirect_manifest(dataset: DatasetFiles, manifest: str, purges: Sequence[int]) -> str:
    """Return the manifest that stands in for another one after purges, given by their numbers."""
    for number in purges:
        stands_in: Any = dataset.history.read(number).entry.info["manifests"]
        manifest = stands_in.get(manifest, manifest)
    return manifest


def find_collecting(head: LoggedEntry | None) -> tuple[str, ...]:
    """List what a collection deletes right now; nothing if it must have given up."""
    until = head.entry.collecting_until if head else None
    if head is None or until is None or until < datetime.now(UTC):
        return ()
    return head.entry.collecting


def _find_missing(dataset: DatasetFiles, shard: ShardEntry) -> list[str]:
    there = {path.removeprefix(f"{shard.digest}/") for path in dataset.shards.list(shard.digest)}
    return sorted(shard.files.keys() - there)
