"""What a workspace holds of a fleet, each signature checked: batches and receipts."""

from itertools import pairwise

from pydantic import JsonValue

from deployments.targets.errors import NotCleared, UplinkRefused
from deployments.targets.fleet.invariants import Arrived
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.signed_receipt import verify_receipt
from deployments.targets.trust.uplink import UPLINKS, UplinkBatch, read_batch
from storage.base.store import Store

RECEIPTS = "receipts"


def read_arrived(workspace: Store, devices: list[str], ring: KeyRing | None = None) -> Arrived:
    """Reads what devices sent: batches that are theirs, and what is wrong with the others.

    Args:
        workspace: The workspace.
        devices: Ids of the devices.
        ring: The keys that are trusted; None: those of the config directory.
    """
    answers: list[str] = []
    truths: list[tuple[str, JsonValue]] = []
    refused: list[str] = []
    for device in devices:
        batches: list[UplinkBatch] = []
        for name in workspace.child(UPLINKS).list(device):
            try:
                batches.append(read_batch(workspace, name, ring))
            except UplinkRefused as error:
                refused.append(f"{name}: {error}")
        refused += _find_gaps(batches)
        for record in (record for batch in batches for record in batch.records):
            if record.kind == "answer":
                answers.append(record.answer_id)
            else:
                truths.append((record.answer_id, record.truth))
    return Arrived(answers, truths, refused)


def _find_gaps(batches: list[UplinkBatch]) -> list[str]:
    """Say where a device's batches do not follow each other."""
    ordered = sorted(batches, key=lambda batch: batch.first)
    return [
        f"{batch.device} has {batch.first} after {before.last}"
        for before, batch in pairwise(ordered)
        if batch.first != before.last + 1
    ]


def read_cleared(workspace: Store, ring: KeyRing | None = None) -> set[str]:
    """Reads the ids of all models with a green receipt that a trusted key signed."""
    trusted = (ring or KeyRing()).trusted_receipt_keys()
    found = set()
    for name in workspace.listdir(RECEIPTS):
        try:
            body = verify_receipt(workspace.read(f"{RECEIPTS}/{name}"), trusted)
        except NotCleared:
            continue
        if body.get("status") == "promoted":
            found.add(str(body["model"]["id"]))
    return found
