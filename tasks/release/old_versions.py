"""Versions of data sets that no receipt of what stays names, and no tag."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from storage.base.errors import Conflict
from storage.base.store import Store, canonical_json
from storage.datasets.dataset import Dataset
from storage.datasets.files import list_datasets
from storage.datasets.log import LoggedEntry
from storage.records.receipts import DatasetRecord
from storage.upkeep.dropping import drop_versions
from storage.upkeep.gc import collect_garbage
from tasks.gates.accepted import find_last_record, list_receipts
from tasks.release.at_work import Needs
from tasks.release.shelf import Shelf


def find_versions(
    workspace: Store,
    shelf: Shelf,
    gone: Sequence[str],
    needs: Needs,
    cutoff: datetime,
    settled: datetime,
) -> dict[str, tuple[int, ...]]:
    """Find the versions of data sets that no receipt of what stays names, and no tag.

    The version that was accepted last stays, too: the next one is held against it.

    Args:
        workspace: The workspace.
        shelf: Its models.
        gone: Ids of those that go.
        needs: What runs at work need.
        cutoff: Receipts that are younger count, whatever became of their model.
        settled: Versions that are younger stay.

    Raises:
        StorageError: A log or a receipt is damaged, so that this cannot be known.
    """
    there = {model.id for model in shelf.models if model.present and model.id not in gone}
    every = list_receipts(workspace)
    receipts = [each for each in every if each.model_id in there or each.created_at >= cutoff]
    named = set(needs.versions)
    named |= {
        (record.name, record.number) for receipt in receipts for record in receipt.datasets.values()
    }
    # A recipe may join another data set by the digest of its version.
    recipes = b"".join(canonical_json(receipt.recipe) for receipt in receipts).decode()
    found = {}
    for name in list_datasets(workspace):
        dataset = Dataset(workspace, name)
        head = dataset.history.find_head()
        kept = _find_kept(head, find_last_record(every, name))
        numbers = tuple(
            version.number
            for version in dataset.iter_versions(head)
            if version.number not in kept
            and (name, version.number) not in named
            and version.created_at < settled
            and version.digest not in recipes
            and version.digest not in needs.digests
        )
        if numbers:
            found[name] = numbers
    return found


def _find_kept(head: LoggedEntry | None, accepted: DatasetRecord | None) -> set[int | None]:
    """Return the numbers of the latest version, those with a tag, and the one accepted last."""
    kept = {*head.entry.tags.values(), head.entry.version} if head else set()
    return kept if accepted is None else kept | {accepted.number}


def drop_found(
    workspace: Store, versions: Mapping[str, Sequence[int]], *, reason: str
) -> tuple[int, tuple[str, ...]]:
    """Drop versions, and collect what they and those before them have left.

    Returns:
        Bytes of what was deleted, and the data sets whose files go by a later call: a collection is
        at work there, or one that was killed holds its place for some minutes.
    """
    size_bytes, waiting = 0, []
    for name in list_datasets(workspace):
        dataset = Dataset(workspace, name)
        drop_versions(dataset, versions.get(name, ()), reason=reason)
        head = dataset.history.find_head()
        if head is None or not head.entry.dropped:
            continue
        try:
            size_bytes += collect_garbage(dataset).size_bytes
        except Conflict:
            waiting.append(name)
    return size_bytes, tuple(waiting)
