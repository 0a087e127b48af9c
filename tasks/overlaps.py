"""Held-out rows that were learned from: by this version's training rows, or by a model that the network starts from."""

from collections.abc import Iterator

from gates.on_fail import BadRows
from gates.tables import Table, tabulate_counts
from storage.files import Store
from storage.receipts import StartRecord
from storage.repeats import count_known, key_contents
from storage.snapshot import Version
from tasks.gate_rows import key_looks
from tasks.start import find_model
from tasks.versions import open_version

LEARNED = ("train", "validation")


def tabulate_twins(version: Version) -> Table:
    """How many held-out pictures look like a training picture; one shard of pictures in memory at a time."""
    alike = count_known(key_looks(version, ("held_out",)), [key_looks(version, ("train",))])
    return tabulate_counts(rows=BadRows(alike, version.rows))


def tabulate_learned(version: Version, start: StartRecord) -> Table:
    """How many held-out rows a model to start from had for training or validation, it or those that it started from.

    Args:
        version: Prepared rows.
        start: Names a model.

    Raises:
        StorageError: What a model learned from is gone or altered, so that it cannot be compared.
    """
    learned = list(_iter_learned(version.dataset.workspace, start))
    content = count_known(key_contents(version, ("held_out",)), [key_contents(rows, LEARNED) for rows in learned])
    pictures = [rows for rows in (version, *learned) if any(field.name == "image" for field in rows.fields)]
    looks = 0
    if version in pictures:
        others = [key_looks(rows, LEARNED) for rows in pictures if rows is not version]
        looks = count_known(key_looks(version, ("held_out",)), others)
    return tabulate_counts(content=BadRows(content, version.rows), looks=BadRows(looks, version.rows))


def _iter_learned(workspace: Store, start: StartRecord) -> Iterator[Version]:
    """The prepared versions that a model learned from, and the one that it started from, and so on."""
    following: StartRecord | None = start
    while following is not None and following.model is not None:
        receipt = find_model(workspace, following.model)
        yield open_version(workspace, receipt.datasets["prepared"])
        following = receipt.model.start if receipt.model is not None else None
