"""Garbage collection: deletes what killed writers left and what no version needs, never what a version needs.

A shard may be written but not committed yet. So a collection first records in the log that files older than a time
count as abandoned if nothing refers to them. A commit that comes before this record is seen by the collection; one
that comes after it sees the record, and refuses new shards from before that time. There is no moment between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from storage.errors import Conflict, NotFound
from storage.log import LoggedEntry
from storage.manifest import name_manifest
from storage.shards import ShardEntry
from storage.versions import Dataset

_GROUP = "zarr.json"


@dataclass(frozen=True)
class Collected:
    """What a collection deleted, or would delete.

    Attributes:
        shards: Digests of shards, also incomplete ones.
        manifests: Digests of manifests.
        temporary: Temporary files that killed writers left.
        size_bytes: Bytes of shards and manifests.
    """

    shards: tuple[str, ...]
    manifests: tuple[str, ...]
    temporary: int
    size_bytes: int


def collect_garbage(dataset: Dataset, grace: timedelta, *, dry_run: bool = False) -> Collected:
    """Deletes files that no version needs and that are older than a grace time.

    Args:
        dataset: The dataset.
        grace: Longer than any writer takes from its first shard to its commit. With a shorter one nothing breaks, but
            a writer's commit can be refused and must write its shards again.
        dry_run: Whether only to say what would be deleted.

    Raises:
        Corrupt: A log entry or a manifest is damaged; nothing is deleted then.
    """
    cutoff = (datetime.now(UTC) if dry_run else _ask_clock(dataset)) - grace
    if not dry_run and _find_abandoned(dataset, cutoff):

        def change(head: LoggedEntry | None) -> dict[str, Any]:
            before = head.entry.collected_before if head else None
            return {"kind": "gc", "collected_before": max(cutoff, before) if before else cutoff, "message": ""}

        dataset.record(change)
    # Looked up again after the record: whoever committed before it is seen now.
    abandoned = _find_abandoned(dataset, cutoff)
    size_bytes = sum(dataset.files.size(file) for files in abandoned.values() for file in files)
    if not dry_run:
        for files in abandoned.values():
            _delete_files(dataset, files, cutoff)
    names = sorted(abandoned)
    return Collected(
        shards=tuple(name.removeprefix("shards/") for name in names if name.startswith("shards/")),
        manifests=tuple(
            name.removeprefix("manifests/").removesuffix(".json") for name in names if "manifests/" in name
        ),
        temporary=0 if dry_run else dataset.files.sweep(cutoff),
        size_bytes=size_bytes,
    )


def check_uncollected(dataset: Dataset, shards: Sequence[ShardEntry], head: LoggedEntry | None) -> None:
    """Refuses shards that a collection may have deleted, and shards that are not there.

    Raises:
        Conflict: A shard was written before the last collection and no version has it, or it is missing.
    """
    before = head.entry.collected_before if head else None
    suspects = []
    for shard in shards:
        modified = _find_age(dataset, shard)
        if modified is None or (before and modified < before):
            suspects.append(shard)
    if not suspects:
        return
    kept = find_live(dataset)[0] if head else {}
    for shard in suspects:
        if shard.digest not in kept or _find_age(dataset, shard) is None:
            raise Conflict(
                f"shard {shard.digest} of dataset {dataset.name} must be there when it is committed; it is missing, or it "
                f"was written before the collection of {before}; write it again, and give collections a longer grace"
            )


def find_live(dataset: Dataset) -> tuple[dict[str, ShardEntry], set[str]]:
    """Shards and manifests of all versions.

    Raises:
        Corrupt: A log entry or a manifest is damaged, so that this cannot be known.
    """
    dataset.history.check_complete()
    shards: dict[str, ShardEntry] = {}
    manifests: set[str] = set()
    for version in dataset.iter_versions():
        if version.manifest_digest not in manifests:
            manifests.add(version.manifest_digest)
            shards.update((shard.digest, shard) for shard in version.shards)
    return shards, manifests


def _ask_clock(dataset: Dataset) -> datetime:
    """The store's own time, coarse as its dates are: what is written from now on has no earlier date."""
    name = f"clock-{token_hex(8)}"
    dataset.manifests.write(name, b"")
    try:
        return dataset.manifests.modified(name)
    finally:
        dataset.manifests.delete(name)


def _find_age(dataset: Dataset, shard: ShardEntry) -> datetime | None:
    """Oldest date of a shard's arrays; None if one is missing."""
    try:
        return min(dataset.shards.modified(f"{shard.digest}/{path}") for path in shard.files)
    except NotFound:
        return None


def _find_abandoned(dataset: Dataset, cutoff: datetime) -> dict[str, list[str]]:
    """Files to delete, by shard folder or manifest."""
    shards, manifests = find_live(dataset)
    groups: dict[str, list[str]] = {}
    for file in [*dataset.files.list("shards"), *dataset.files.list("manifests")]:
        folder, name = file.split("/")[:2]
        live = name in shards if folder == "shards" else name in {name_manifest(digest) for digest in manifests}
        if not live:
            groups.setdefault(f"{folder}/{name}", []).append(file)
    return {name: files for name, files in groups.items() if all(_is_old(dataset, file, cutoff) for file in files)}


def _is_old(dataset: Dataset, file: str, cutoff: datetime) -> bool:
    try:
        return dataset.files.modified(file) < cutoff
    except NotFound:
        return True


def _delete_files(dataset: Dataset, files: list[str], cutoff: datetime) -> None:
    """Deletes the files of a shard, unless a writer has just written it again."""
    for file in sorted(files, key=lambda file: file.count("/")):
        if not _is_old(dataset, file, cutoff):
            return
        dataset.files.delete(file)
