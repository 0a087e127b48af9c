"""Receipt files: written once under the digest of their bytes, found by any name, read and checked.

A receipt file is the canonical JSON of `{"signatures": [...], "signed": body}`. It lies at
`receipts/<sha256>.json`, named by the digest of its own bytes, so that one flipped bit anywhere in
it is found by its name alone. Signing is handed in as a function: storage holds no keys.
"""

import json
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from storage.base.errors import Corrupt, NotFound
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.records.receipts import FORMAT, Receipt, Record

FOLDER = "receipts"

Sign = Callable[[bytes], dict[str, str]]
"""Signs the canonical bytes of a body; gives `{"keyid", "method", "signature"}`."""


class SignedReceipt(Record):
    """A receipt as it lies on disk.

    Attributes:
        id: sha256 of the file's bytes; its name.
        receipt: The body.
        signatures: One or more signatures over the body's canonical bytes.
        content: The file's bytes.
    """

    id: str
    receipt: Receipt
    signatures: tuple[dict[str, str], ...]
    content: bytes


def path_of(receipt_id: str) -> str:
    """Returns the path of a receipt in its workspace."""
    return f"{FOLDER}/{receipt_id}.json"


def write_receipt(workspace: Store, receipt: Receipt, sign: Sign) -> SignedReceipt:
    """Signs a receipt and writes it under the digest of its bytes, never over another."""
    body = receipt.model_dump(mode="json")
    signatures = [sign(canonical_json(body))]
    content = canonical_json({"signatures": signatures, "signed": body})
    receipt_id = sha256_bytes(content)
    workspace.put_if_absent(path_of(receipt_id), content)
    return _locate(workspace, receipt_id, receipt, signatures, content)


def _locate(
    workspace: Store,
    receipt_id: str,
    receipt: Receipt,
    signatures: Sequence[dict[str, str]],
    content: bytes,
) -> SignedReceipt:
    located = receipt.model_copy(
        update={"id": receipt_id, "address": workspace.address(path_of(receipt_id))}
    )
    return SignedReceipt(
        id=receipt_id, receipt=located, signatures=tuple(signatures), content=content
    )


def read_receipt(workspace: Store, receipt_id: str) -> SignedReceipt:
    """Reads a receipt and checks its bytes against its name.

    The signature is not checked here: who is trusted is the reader's to say.

    Raises:
        NotFound: The workspace has no such receipt.
        Corrupt: The bytes do not match the name, or are no receipt of a format known here.
    """
    content = workspace.read(path_of(receipt_id))
    where = workspace.child(FOLDER).display + f"/{receipt_id}.json"
    if (got := sha256_bytes(content)) != receipt_id:
        raise Corrupt(
            f"receipt ({where}) must hash to its name; got {got}; restore the file from a copy"
        )
    envelope = json.loads(content)
    found = envelope["signed"].get("format")
    if found != FORMAT:
        raise Corrupt(
            f"receipt ({where}) must have format {FORMAT}; got {found!r}; {_advise(found)}"
        )
    try:
        receipt = Receipt.model_validate(envelope["signed"])
    except ValidationError as error:
        raise Corrupt(
            f"receipt ({where}) must follow its format; got {error.error_count()} faults: {error}"
        ) from error
    return _locate(workspace, receipt_id, receipt, envelope["signatures"], content)


def _advise(found: object) -> str:
    """Return what to do about a receipt of another format than this code writes."""
    is_older = isinstance(found, int) and found < FORMAT
    return "run the recipe again" if is_older else "read it with a newer Lepton"


def find_receipt(workspace: Store, reference: str) -> str:
    """Finds the receipt that a user means.

    A reference is an id, a unique prefix of one (8 digits or more), a path, or a model id. A model
    id stands for its newest promoted receipt, else its newest.

    Raises:
        NotFound: Nothing, or more than one thing, goes by that name.
    """
    name = reference.rsplit("/", 1)[-1].removesuffix(".json").lower()
    ids = [
        entry.removesuffix(".json")
        for entry in workspace.listdir(FOLDER)
        if entry.endswith(".json")
    ]
    if name in ids:
        return name
    matches = [entry for entry in ids if len(name) >= 8 and entry.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    of_model = list_model_receipts(workspace, name)
    if of_model:
        return of_model[-1].id
    raise NotFound(
        f"receipt or model ({reference}) must be known in {workspace.display}; got {len(matches)} "
        f"matches among {len(ids)} receipts; list them in {FOLDER}/ or give more digits"
    )


def find_damaged(workspace: Store) -> list[str]:
    """Describes each damaged receipt of a workspace in a sentence; it could be any model's."""
    faults = []
    for entry in workspace.listdir(FOLDER):
        try:
            read_receipt(workspace, entry.removesuffix(".json"))
        except Corrupt as error:
            faults.append(str(error))
    return faults


def list_model_receipts(workspace: Store, model_id: str) -> list[SignedReceipt]:
    """Lists the receipts of a model: stopped before promoted, each oldest first.

    Args:
        workspace: The workspace.
        model_id: The model's id, a prefix of 8 digits or more, or the sha256 of its weights.
    """
    if len(model_id) < 8:
        return []
    found = []
    for entry in workspace.listdir(FOLDER):
        try:
            signed = read_receipt(workspace, entry.removesuffix(".json"))
        except Corrupt:
            continue  # A damaged receipt speaks for nothing; `find_damaged` names it.
        model = signed.receipt.model
        if model is not None and (model.id.startswith(model_id) or model.checkpoint == model_id):
            found.append(signed)
    return sorted(found, key=lambda signed: (signed.receipt.promoted, signed.receipt.created_at))
