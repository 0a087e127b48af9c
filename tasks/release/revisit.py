"""Does what a stage handed on still hold? Everything that it refers to is read and hashed again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from deployments.targets.errors import TargetError
from deployments.targets.publish.channel import open_channel, read_champion
from storage.base.errors import StorageError
from storage.base.store import Store, sha256_bytes
from storage.records.audit import audit_dataset
from storage.records.receipt_files import read_receipt
from tasks.runtime.outcome_base import FileReference, References


def find_change(workspace: Store, references: References, channels: Sequence[str]) -> str | None:
    """Find the first thing that is no longer as a stage left it, in one sentence; None without one.

    Args:
        workspace: Where the run wrote.
        references: What the stage's outcome refers to.
        channels: Those whose champions the model was held against.
    """
    try:
        return next(_list_changes(workspace, references, channels), None)
    except (StorageError, TargetError) as error:
        return str(error)


def _list_changes(
    workspace: Store, references: References, channels: Sequence[str]
) -> Iterator[str]:
    for dataset in references.datasets:
        yield from audit_dataset(workspace, dataset).faults
    for file in references.files:
        yield from _list_altered(workspace, file)
    for receipt in references.receipts:
        read_receipt(workspace, receipt)
    if references.champions is not None:
        yield from _list_new_champions(workspace, references.champions, channels)


def _list_altered(workspace: Store, file: FileReference) -> Iterator[str]:
    store = Store(Path(file.folder)) if file.folder else workspace
    if (found := sha256_bytes(store.read(file.path))) != file.sha256:
        yield f"{store.display}/{file.path} must have sha256 {file.sha256}; got {found}"


def _list_new_champions(
    workspace: Store, known: dict[str, int], channels: Sequence[str]
) -> Iterator[str]:
    """Yield channels that another model has won since: the outcome was not held against that."""
    for name in channels:
        release = read_champion(open_channel(workspace, name))
        if (release.number if release else None) != known.get(name):
            yield f"channel {name} has another champion now"
