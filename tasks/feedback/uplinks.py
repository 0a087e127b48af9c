"""Looks through a workspace's uplinks: every file is verified before anything of it is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from deployments.targets.errors import TargetError, UplinkRefused
from deployments.targets.run.device_figures import is_figures_file
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.uplink import UPLINKS, UplinkBatch, parse_name, read_batch
from storage.base.errors import StorageError
from storage.base.store import Store
from tasks.feedback.ledger import Ledger, Truth
from tasks.feedback.models import ModelBook
from tasks.feedback.truths import is_truth_file, read_truth_file


@dataclass
class Examined:
    """What was found below `uplinks` that no ledger names yet.

    Attributes:
        batches: Batches with answers of the recipe's models, in the order in which they count.
        files: Files that are only of truths.
        others: Batches of other recipes' models.
        truths: What all of these say was true.
        foreign: Truths that a device told of answers that are not its own, which do not count.
        refused: Files that cannot be trusted, and why; nothing of them was read.
    """

    batches: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def examine_uplinks(
    store: Store, name: str, ledger: Ledger, models: ModelBook, ring: KeyRing
) -> Examined:
    """Examines every file below `uplinks` that was not read before.

    Args:
        store: The workspace.
        name: Name of the recipe.
        ledger: What was read before.
        models: The workspace's models.
        ring: Whom this machine trusts.
    """
    found, trusted, known = Examined(), ring.trusted_receipt_keys(), ledger.known
    for file in list_files(store):
        if file in known:
            continue
        try:
            if is_truth_file(file):
                found.truths += read_truth_file(store, file, trusted)
                found.files.append(file)
            else:
                _examine_batch(read_batch(store, file, ring), file, name, models, found)
        except (TargetError, StorageError) as error:
            found.refused[file] = str(error)
    return found


def list_files(store: Store) -> list[str]:
    """List the files of answers and truths below `uplinks`, by node and first number.

    Those in the making are left out, and figures that devices measured.
    """
    return sorted(_iter_files(store), key=_order)


def _iter_files(store: Store) -> Iterator[str]:
    for path in store.list(UPLINKS):
        file = path.removeprefix(f"{UPLINKS}/")
        if not file.rpartition("/")[2].startswith(".") and not is_figures_file(file):
            yield file


def _order(file: str) -> tuple[str, int, str]:
    stated = parse_name(file)
    return (stated.device, stated.first, file) if stated else (file.partition("/")[0], 0, file)


def _examine_batch(
    batch: UplinkBatch, file: str, name: str, models: ModelBook, found: Examined
) -> None:
    """Sorts a verified batch by whose model answered.

    Raises:
        UplinkRefused: Its model is none of this workspace.
    """
    if batch.model_id is not None and models.find(batch.model_id) is None:
        raise UplinkRefused(
            f"uplink ({file}) must be of a model that was promoted in this workspace; got "
            f"{batch.model_id[:12]}; collect it where that model was made"
        )
    _take_truths(batch, file, found)
    if batch.model_id is None:
        found.files.append(file)
    elif models.require(batch.model_id).recipe == name:
        found.batches.append(file)
    else:
        found.others.append(file)


def _take_truths(batch: UplinkBatch, file: str, found: Examined) -> None:
    """Takes the truths of a device's own answers: it does not speak for others."""
    for record in batch.records:
        if record.kind != "truth":
            continue
        if record.answer_id.rpartition(":")[0] != batch.device:
            found.foreign.append(
                f"{batch.device} told a truth of {record.answer_id}, which is not its answer; give "
                "it to an endpoint, or to `lepton feedback --truth`"
            )
            continue
        found.truths.append(
            Truth(
                answer_id=record.answer_id,
                truth=record.truth,
                at=record.at,
                file=file,
                place=record.sequence,
            )
        )
