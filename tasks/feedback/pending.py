"""A retraining that was decided and is not yet over, so that whoever comes next can finish it.

<workspace>/feedback/<recipe>/pending.json    written before the retraining, deleted after
"""

import json

from pydantic import ValidationError

from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from storage.base.errors import NotFound
from storage.base.store import Store
from storage.records.receipts import DatasetRecord, Receipt
from tasks.feedback.evidence import Finding
from tasks.feedback.ledger import FOLDER
from tasks.gates.accepted import list_receipts
from tasks.runtime.outcome_base import Result

_REMEDY = "delete it, and the next call decides anew"


class Pending(Result):
    """What was decided.

    Attributes:
        recipe: Digest of the recipe that is carried out.
        dataset: The feedback version that is learned from.
        champion: The model that is to be replaced.
        evidence: Why.
    """

    recipe: str
    dataset: DatasetRecord
    champion: str
    evidence: tuple[Finding, ...]


def write_pending(store: Store, name: str, pending: Pending) -> None:
    """Writes down what is about to be done, durable once it returns."""
    sealed = seal_body(pending.model_dump(mode="json"), KeyRing().receipt_signer())
    store.write(_place(name), sealed)


def read_pending(store: Store, name: str) -> Pending | None:
    """Reads what was begun and not ended; None where there is nothing.

    Raises:
        NotCleared: No trusted key signed it.
    """
    try:
        content = store.read(_place(name))
    except NotFound:
        return None
    trusted = KeyRing().trusted_receipt_keys()
    body = open_sealed(content, trusted, f"file {_place(name)}", remedy=_REMEDY)
    try:
        return Pending.model_validate_json(json.dumps(body))
    except ValidationError:
        return None  # Written by another Lepton; what it began is decided anew.


def drop_pending(store: Store, name: str) -> None:
    """Deletes it; no fault if it is gone already."""
    store.delete(_place(name))


def find_receipt_of(store: Store, recipe: str) -> Receipt | None:
    """Find the newest receipt of a run of a recipe, by the recipe's digest; None if none ended."""
    found = [each for each in list_receipts(store) if each.recipe.get("digest") == recipe]
    return max(found, key=lambda receipt: receipt.created_at) if found else None


def _place(name: str) -> str:
    return f"{FOLDER}/{name}/pending.json"
