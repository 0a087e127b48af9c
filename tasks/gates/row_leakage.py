"""Finds held-out rows that a model which the network starts from has learned from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gates.engine.on_fail import BadRows
from gates.engine.tables import Table, tabulate_counts
from storage.base.store import Store
from storage.datasets.version import Version
from storage.records.receipts import StartRecord
from storage.shards.row_ids import RESERVED
from storage.upkeep.known_rows import count_known, key_contents, key_places
from tasks.data.open_versions import open_version
from tasks.gates.row_looks import Form, has_looks, key_looks
from tasks.training.start import find_model

LEARNED = ("train", "validation")


@dataclass(frozen=True)
class Learned:
    """Holds rows that a model learned from, and the digest of the source they came from."""

    version: Version
    source: str | None


def tabulate_learned(version: Version, source: str, start: StartRecord, form: Form) -> Table:
    """Count the held-out rows that a model to start from, or one before it, has learned from.

    Args:
        version: Prepared rows.
        source: Digest of the source that they came from.
        start: Names a model.
        form: Form of the rows.

    Raises:
        StorageError: What a model learned from is gone or altered, so that it cannot be compared.
    """
    learned = list(_iter_learned(version.dataset.workspace, start))
    parts = [part.version for part in learned]
    content = count_known(
        key_contents(version, ("held_out",)), [key_contents(rows, LEARNED) for rows in parts]
    )
    looks = 0
    if has_looks(version, form):
        others = [key_looks(rows, LEARNED, form) for rows in parts if has_looks(rows, form)]
        looks = count_known(key_looks(version, ("held_out",), form), others)
    found = {
        "content": content,
        "place": count_same_places(version, source, learned, form),
        "looks": looks,
    }
    return tabulate_counts(**{name: BadRows(count, version.rows) for name, count in found.items()})


def count_same_places(version: Version, source: str, learned: Sequence[Learned], form: Form) -> int:
    """Count the held-out rows from the same place in a source as rows that were learned from.

    A column more, or another transform, gives a row another content, and by that another split. So
    rows of one source are compared by their places in it, and so are rows of other fields, whose
    contents could never be equal, whatever the source: a file that was added to is another one.
    Pictures of other sizes are compared by their looks.
    """
    fields = _list_fields(version)
    same = [
        key_places(part.version, LEARNED)
        for part in learned
        if part.source == source
        or (not has_looks(version, form) and _list_fields(part.version) != fields)
    ]
    return count_known(key_places(version, ("held_out",)), same)


def _list_fields(version: Version) -> list[tuple[str, str, tuple[int, ...]]]:
    """List what a row's content is made of, but for the values."""
    return sorted(
        (field.name, field.dtype, field.shape)
        for field in version.fields
        if field.name not in RESERVED
    )


def _iter_learned(workspace: Store, start: StartRecord) -> Iterator[Learned]:
    """Walk what a model learned from, then what the one before it did, and so on."""
    following: StartRecord | None = start
    while following is not None and following.model is not None:
        receipt = find_model(workspace, following.model)
        source = receipt.source.digest if receipt.source is not None else None
        yield Learned(open_version(workspace, receipt.datasets["prepared"]), source)
        following = receipt.model.start if receipt.model is not None else None
