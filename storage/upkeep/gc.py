"""Collects garbage: what killed writers left and what no version needs.

A shard may be written but not committed yet, and deleting takes time. So a collection first records
in the log what it is about to delete, and at last that it has ended. A commit that comes before the
first record is seen by the collection; one that comes between the two is refused if it needs
something of what is listed; one that comes after them finds its files there or not. The log puts
all of them in one order, so there is no moment in which a version could lose a file.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.base.errors import Conflict, NotFound
from storage.datasets.dataset import Dataset
from storage.datasets.files import MANIFESTS, SHARDS, name_node, name_shard
from storage.datasets.guards import find_collecting
from storage.datasets.log import LoggedEntry
from storage.datasets.manifest import read_node
from storage.datasets.scratch import sweep_scratch

# A collection that was killed must not block commits for long; one that was only slow must stop
# well before.
_LEASE = timedelta(minutes=5)
_WORK_S = 120.0

Known = dict[str, tuple[frozenset[str], tuple[str, ...]]]
"""Nodes of manifests that were read: names of their shards, digests of the nodes below."""


@dataclass(frozen=True)
class Collected:
    """What a collection deleted, or would delete.

    Attributes:
        shards: Digests of shards, also incomplete ones.
        manifests: Digests of manifests.
        temporary: Temporary files and scratch files that killed writers left.
        size_bytes: Bytes of shards and manifests.
    """

    shards: tuple[str, ...]
    manifests: tuple[str, ...]
    temporary: int
    size_bytes: int


def collect_garbage(
    dataset: Dataset, grace_s: float = 24 * 3600, *, dry_run: bool = False
) -> Collected:
    """Deletes files that no version needs and that are older than a grace time.

    Args:
        dataset: The dataset.
        grace_s: Seconds; longer than any writer takes from its first shard to its commit. With a
            shorter one nothing breaks, but a writer's commit can be refused and must write its
            shards again.
        dry_run: Whether only to say what would be deleted.

    Raises:
        Conflict: Another collection is at work.
        Corrupt: A log entry or a manifest is damaged; nothing is deleted then.
    """
    cutoff = datetime.now(UTC) - timedelta(seconds=grace_s)
    known: Known = {}
    abandoned = _find_abandoned(dataset, cutoff, None, known)
    if dry_run or not abandoned:
        return _report(dataset, abandoned, _sweep(dataset, cutoff, dry_run=dry_run))
    done: dict[str, int] = {}
    finished = False
    while not finished and (todo := _start(dataset, cutoff, known)):
        deleted = _delete_listed(dataset, todo)
        done.update(deleted)
        finished = len(deleted) == len(todo)
        _end(dataset)
    return _report(
        dataset,
        {name: [] for name in done},
        _sweep(dataset, cutoff, dry_run=False),
        sum(done.values()),
    )


def find_live(dataset: Dataset, head: LoggedEntry | None, known: Known) -> set[str]:
    """Return the names of the shards and manifests of all versions up to an entry of the log.

    Args:
        dataset: The dataset.
        head: The entry; None for the latest.
        known: Nodes of manifests that were read before; those read now are added.

    Raises:
        Corrupt: A log entry or a manifest is damaged, so that this cannot be known.
    """
    dataset.history.check_complete()
    live: set[str] = set()
    todo = [version.manifest_digest for version in dataset.iter_versions(head)]
    while todo:
        digest = todo.pop()
        name = name_node(digest)
        if name in live:
            continue
        if digest not in known:
            node = read_node(dataset.manifests, digest)
            known[digest] = (
                frozenset(name_shard(shard.digest) for shard in node.shards),
                node.nodes,
            )
        shards, below = known[digest]
        live |= {name, *shards}
        todo += below
    return live


def _start(dataset: Dataset, cutoff: datetime, known: Known) -> dict[str, list[str]]:
    """Records what is about to be deleted; gives the files by name of their shard or manifest."""
    abandoned: dict[str, list[str]] = {}

    def change(head: LoggedEntry | None) -> dict[str, Any] | None:
        if find_collecting(head):
            raise Conflict(
                f"dataset {dataset.name} must have one garbage collection at a time; another one "
                "is at work, or was killed; wait until "
                f"{head.entry.collecting_until if head else None}"
            )
        abandoned.clear()
        abandoned.update(_find_abandoned(dataset, cutoff, head, known))
        if not abandoned:
            return None
        until = datetime.now(UTC) + _LEASE
        return {"kind": "gc", "collecting": tuple(sorted(abandoned)), "collecting_until": until}

    if _find_abandoned(dataset, cutoff, None, known):
        dataset.record(change)
    return abandoned


def _delete_listed(dataset: Dataset, todo: dict[str, list[str]]) -> dict[str, int]:
    """Deletes shards and manifests for as long as the record allows.

    Gives the bytes of each that is done.
    """
    started, done = time.monotonic(), {}
    for name, files in todo.items():
        if time.monotonic() - started > _WORK_S:
            break
        done[name] = sum(_delete_file(dataset, file) for file in files)
    return done


def _end(dataset: Dataset) -> None:
    dataset.record(lambda _: {"kind": "gc-end", "collecting": (), "collecting_until": None})


def _find_abandoned(
    dataset: Dataset, cutoff: datetime, head: LoggedEntry | None, known: Known
) -> dict[str, list[str]]:
    """Finds the files that no version needs, by name of their shard or manifest.

    Only where all of them are old or hold purged rows.
    """
    live, purged = find_live(dataset, head, known), _find_purged(dataset, head)
    groups: dict[str, list[str]] = {}
    for file in [*dataset.files.list(SHARDS), *dataset.files.list(MANIFESTS)]:
        name = "/".join(file.split("/")[:2])
        if name not in live:
            groups.setdefault(name, []).append(file)
    return {
        name: files
        for name, files in groups.items()
        if name in purged or all(_is_old(dataset, file, cutoff) for file in files)
    }


def _find_purged(dataset: Dataset, head: LoggedEntry | None) -> set[str]:
    """Return the names of the shards and manifests that purges were to delete.

    A purge that was killed may have left them.
    """
    head = head or dataset.history.find_head()
    names: set[str] = set()
    for number in head.entry.purges if head else ():
        info: Any = dataset.history.read(number).entry.info
        names.update(name_shard(digest) for digest in info["shards"])
        names.update(name_node(digest) for digest in info["nodes"])
    return names


def _is_old(dataset: Dataset, file: str, cutoff: datetime) -> bool:
    try:
        return dataset.files.modified(file) < cutoff
    except NotFound:
        return True


def _delete_file(dataset: Dataset, file: str) -> int:
    """Deletes a file; gives its size in bytes."""
    try:
        size_bytes = dataset.files.size(file)
    except NotFound:
        return 0
    dataset.files.delete(file)
    return size_bytes


def _sweep(dataset: Dataset, cutoff: datetime, *, dry_run: bool) -> int:
    """Deletes what killed writers left of files that were never to stay; gives how many.

    Temporary files go in the whole workspace: those of models and receipts have no collection of
    their own.
    """
    swept = sweep_scratch(dataset, cutoff, dry_run=dry_run)
    swept += dataset.workspace.sweep(cutoff, dry_run=dry_run)
    dataset.files.sweep(cutoff, folders=True, dry_run=dry_run)
    return swept


def _report(
    dataset: Dataset, abandoned: dict[str, list[str]], temporary: int, size_bytes: int | None = None
) -> Collected:
    found = size_bytes
    if found is None:
        found = sum(dataset.files.size(file) for files in abandoned.values() for file in files)
    names = [name.partition("/") for name in sorted(abandoned)]
    return Collected(
        shards=tuple(name for folder, _, name in names if folder == SHARDS),
        manifests=tuple(
            name.removesuffix(".json") for folder, _, name in names if folder == MANIFESTS
        ),
        temporary=temporary,
        size_bytes=found,
    )
