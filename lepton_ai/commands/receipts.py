"""`lepton verify` and `lepton trace`: what a receipt says, and whether it is still true."""

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.targets.errors import NotCleared
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.signed_receipt import verify_receipt
from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    answer,
    fail,
    on_platform,
    say,
    translate_errors,
)
from storage.base.errors import StorageError
from storage.base.store import Store

if TYPE_CHECKING:
    from storage.records.receipt_files import SignedReceipt
    from storage.records.receipts import Receipt

Reference = Annotated[
    str, typer.Argument(help="Receipt id, path of a receipt, or model id; 8 digits are enough.")
]


@on_platform("verify")
def verify(
    reference: Reference, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False
) -> None:
    """Hash again everything that a receipt names, data shards included, and check its signature.

    Exit status: 0 all is as signed, 1 something is not; each bad file is named.
    """
    from storage.records.audit import audit_receipt
    from storage.records.receipt_files import FOLDER, find_damaged, find_receipt, read_receipt

    folder, separator, _ = reference.rpartition(f"/{FOLDER}/")
    store = Store(folder if separator else workspace)
    # A damaged receipt may be the very one that is asked for by its model.
    faults = find_damaged(store)
    try:
        receipt_id = find_receipt(store, reference)
        signed = read_receipt(store, receipt_id)
    except StorageError as error:
        raise fail("; ".join([*faults, f"{error}; or give --workspace"])) from error
    try:
        verify_receipt(signed.content, KeyRing().trusted_receipt_keys())
    except NotCleared as error:
        faults.append(str(error))
    audit = audit_receipt(store, signed.receipt)
    faults += [str(fault) for fault in audit.faults]
    if as_json:
        answer({"receipt": receipt_id, "files": audit.files, "faults": faults}, "", as_json)
    for fault in faults:
        say(f"BAD  {fault}", "red")
    if faults:
        raise fail(
            f"receipt {receipt_id[:12]} does not hold: {len(faults)} of {audit.files} files are "
            "not as signed"
        )
    say(
        f"good  receipt {receipt_id[:12]}: signature and {audit.files} files are as signed", "green"
    )


@translate_errors
def trace(
    model_id: Annotated[str, typer.Argument(help="Model id; its first 8 digits are enough.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Print the chain from a model back to the bytes it learned from."""
    from storage.records.receipt_files import list_model_receipts

    store = Store(workspace)
    found = list_model_receipts(store, model_id)
    if not found:
        raise fail(
            f"model ({model_id}) must have a receipt in {store.display}; got none; check "
            "--workspace"
        )
    signed = found[-1]
    fields = {"receipt": signed.id, **signed.receipt.model_dump(mode="json")}
    answer(fields, "\n".join(_describe_chain(signed)), as_json)


def _describe_chain(signed: "SignedReceipt") -> list[str]:
    return [
        *_describe_model(signed.receipt),
        *_describe_clearance(signed),
        *_describe_origin(signed.receipt),
    ]


def _describe_model(receipt: "Receipt") -> list[str]:
    model = receipt.model
    lines = [f"model      {model.id if model else '-'}"]
    lines += [
        f"  channel  {name}: {cleared.artifact}" for name, cleared in receipt.channels.items()
    ]
    for entry in receipt.artifacts:
        size = int(entry.find("size_bytes") or 0)
        lines.append(f"  artifact {entry.file} sha256 {entry.sha256} ({size} bytes)")
    if model is not None:
        lines.append(f"checkpoint sha256 {model.checkpoint}")
        if model.start is not None:
            origin = f"model {model.start.model}" if model.start.model else model.start.url
            lines.append(f"  start    {origin} sha256 {model.start.sha256}")
    return lines


def _describe_clearance(signed: "SignedReceipt") -> list[str]:
    receipt = signed.receipt
    lines = [
        f"receipt    {signed.id} ({receipt.status}, run {receipt.run}, "
        f"{receipt.created_at:%Y-%m-%d %H:%M} UTC)"
    ]
    lines += [f"  signed by {signature['keyid']}" for signature in signed.signatures]
    for gate in receipt.gates:
        checks = gate["checks"]
        count = len(checks) if isinstance(checks, list) else 0
        color = "green" if gate["passed"] else "RED"
        lines.append(f"gate       {gate['stage']}: {color} ({count} checks)")
    return lines


def _describe_origin(receipt: "Receipt") -> list[str]:
    lines = []
    for name, dataset in reversed(receipt.datasets.items()):
        rows = ", ".join(f"{split or 'all'} {count}" for split, count in dataset.rows.items())
        lines.append(f"{name:<10} {dataset.ref} digest {dataset.digest} ({rows} rows)")
    lines.append(f"recipe     {receipt.recipe['name']} digest {receipt.recipe['digest']}")
    code = receipt.lepton
    commit = f", commit {code.commit}" if code.commit else ""
    lines.append(f"code       lepton-ai {code.version} digest {code.digest}{commit}")
    if receipt.source is not None:
        lines.append(f"source     {receipt.source.type} {receipt.source.url or ''}".rstrip())
        lines += [
            f"  file     {name} sha256 {file.sha256}" for name, file in receipt.source.files.items()
        ]
    return lines
