"""Finds the version that was accepted last: a receipt says that its gates were green."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.base.errors import Corrupt, NotFound
from storage.base.store import Store, canonical_json
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.registry import FORMS
from storage.records.receipt_files import FOLDER, read_receipt
from storage.records.receipts import DatasetRecord, Receipt

_DATA_GATES = frozenset({"raw", "prepared"})


@dataclass(frozen=True)
class Accepted:
    """Holds the last accepted version, or why there is none to compare with."""

    version: Version | None
    reason: str = ""


def parse_data(document: Mapping[str, Any]) -> RowsSpec:
    """Return the data section of a recipe's document, by its kind."""
    return FORMS.find(str(document.get("kind", "image"))).spec.model_validate(document)


def find_accepted(
    store: Store, current: Version, data: RowsSpec, before: str | None = None
) -> Accepted:
    """Find the version that a new one is compared with.

    A version is accepted if the gates on its data and the gate on the model that learned from it
    were green. One that a red model gate followed is not: nobody has shown that it is any good.

    Args:
        store: The workspace.
        current: The version that is judged; it is never its own measure.
        data: What the recipe says of the rows now; an accepted version that was collected by other
            rules is no measure.
        before: A run that does not count, because it is the one that is being reported.
    """
    rules = canonical_json(data.model_dump(mode="json"))
    changed = False
    for receipt, record in _iter_accepted(list_receipts(store), current.name):
        if receipt.run == before:
            continue
        if record.digest == current.digest:
            return Accepted(None, f"{record.ref} itself was accepted")
        if _read_rules(receipt) != rules:
            changed = True
            continue
        try:
            version = Dataset(current.dataset.workspace, current.name).open(record.number)
        except (NotFound, Corrupt):
            continue
        if version.digest == record.digest:
            return Accepted(version)
    if changed:
        return Accepted(None, "the recipe's data section has changed since a version was accepted")
    return Accepted(None, "no version has been accepted yet")


def _iter_accepted(
    receipts: Sequence[Receipt], name: str
) -> Iterator[tuple[Receipt, DatasetRecord]]:
    """Yield receipts that accept a raw version of a dataset, with its record, newest first."""
    for receipt in sorted(receipts, key=lambda receipt: receipt.created_at, reverse=True):
        record = receipt.datasets.get("raw")
        if record is not None and record.name == name and _is_accepted(receipt):
            yield receipt, record


def find_last_good(store: Store, name: str) -> Version:
    """Find the raw version that was accepted last; the latest one if none was.

    Raises:
        NotFound: There is no version at all.
    """
    dataset = Dataset(store, name)
    for _, record in _iter_accepted(list_receipts(store), name):
        try:
            version = dataset.open(record.number)
        except NotFound:
            continue  # It was dropped.
        if version.digest == record.digest:
            return version
    return dataset.open()


def find_last_record(receipts: Sequence[Receipt], name: str) -> DatasetRecord | None:
    """Find the record of the raw version of a dataset that was accepted last; None if none was.

    The gates on the next version compare with that one, whatever became of its model.
    """
    return next((record for _, record in _iter_accepted(receipts, name)), None)


def _is_accepted(receipt: Receipt) -> bool:
    passed = {str(gate.get("stage")): gate.get("passed") is True for gate in receipt.gates}
    return passed.keys() >= _DATA_GATES and all(
        passed[name] for name in (_DATA_GATES | {"model"}) & passed.keys()
    )


def _read_rules(receipt: Receipt) -> bytes:
    document = receipt.recipe.get("document")
    data = document.get("data") if isinstance(document, dict) else None
    return canonical_json(data) if isinstance(data, dict) else b""


def list_receipts(store: Store) -> list[Receipt]:
    """List all receipts of a workspace; a damaged one speaks for nothing."""
    found = []
    for entry in store.listdir(FOLDER):
        try:
            found.append(read_receipt(store, entry.removesuffix(".json")).receipt)
        except Corrupt:
            continue
    return found
