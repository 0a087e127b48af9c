"""Does what a stage handed on still hold? Everything that it names is read and hashed again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from deployments.targets.errors import TargetError
from deployments.targets.publish.channel import open_channel, read_champion
from gates.engine.report import GateReport
from storage.base.errors import StorageError
from storage.base.store import Store, sha256_bytes
from storage.records.audit import audit_dataset
from storage.records.models import CHECKPOINT, model_folder
from storage.records.receipt_files import read_receipt
from tasks.runtime.outcomes import (
    Collected,
    Compressed,
    Evaluated,
    Outcome,
    Prepared,
    Promoted,
    Trained,
)


def find_change(workspace: Store, outcome: Outcome, channels: Sequence[str]) -> str | None:
    """Says what is no longer as a stage left it, in one sentence; None if all still holds.

    A gate's report never holds by itself: the gate judges again.

    Args:
        workspace: Where the run wrote.
        outcome: What the stage handed on.
        channels: Those whose champions the model was held against.
    """
    try:
        return next(_list_changes(workspace, outcome, channels), None)
    except (StorageError, TargetError) as error:
        return str(error)


def _list_changes(workspace: Store, outcome: Outcome, channels: Sequence[str]) -> Iterator[str]:
    match outcome:
        case Collected(dataset=dataset) | Prepared(dataset=dataset):
            yield from audit_dataset(workspace, dataset).faults
        case Trained():
            answers = (outcome.validation_predictions, outcome.held_out_predictions)
            files = {CHECKPOINT: outcome.checkpoint.sha256} | {
                written.file: written.sha256 for written in answers
            }
            yield from _list_altered(Store(Path(outcome.directory)), files)
        case Evaluated():
            sheets = {outcome.predictions_path: outcome.predictions.sha256}
            sheets |= {
                champion.predictions_path: champion.predictions.sha256
                for champion in outcome.champions
            }
            yield from _list_altered(workspace, sheets)
            yield from _list_new_champions(workspace, outcome, channels)
        case Compressed():
            files = {name: record.sha256 for name, record in outcome.files.items()}
            yield from _list_altered(model_folder(workspace, outcome.model_id), files)
        case Promoted(receipt=receipt):
            read_receipt(workspace, receipt)
        case GateReport():
            return


def _list_altered(store: Store, files: dict[str, str]) -> Iterator[str]:
    for name, expected in files.items():
        if (found := sha256_bytes(store.read(name))) != expected:
            yield f"{store.display}/{name} must have sha256 {expected}; got {found}"


def _list_new_champions(
    workspace: Store, evaluated: Evaluated, channels: Sequence[str]
) -> Iterator[str]:
    """Lists channels that another model won since: the challenger was not held against that one."""
    known = {champion.channel: champion.release for champion in evaluated.champions}
    for name in channels:
        release = read_champion(open_channel(workspace, name))
        if (release.number if release else None) != known.get(name):
            yield f"channel {name} has another champion now"
