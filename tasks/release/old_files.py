"""Files of a workspace that nothing needs: weights, pages of runs, files of channels."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from deployments.targets.publish.channel import open_channel
from deployments.targets.publish.history import walk_commits
from deployments.targets.publish.repository import load_state
from deployments.targets.trust.address import CHANNELS, TARGETS
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.marks import read_marks
from storage.base.errors import NotFound
from storage.base.store import Store
from storage.records.models import WEIGHTS
from storage.records.receipts import Receipt
from tasks.gates.accepted import list_receipts
from tasks.release.at_work import Needs
from tasks.release.shelf import Shelf
from tasks.release.stays import list_channels

REPORTS = "reports"


def list_weights(
    workspace: Store, shelf: Shelf, gone: Sequence[str], needs: Needs, cutoff: datetime
) -> Iterator[str]:
    """Yield weights from elsewhere that no model which stays, and no run at work, started from."""
    named = {
        model.receipt.model.start.path
        for model in shelf.models
        if model.id not in gone and model.receipt.model and model.receipt.model.start
    }
    for path in workspace.list(WEIGHTS):
        used = path in named or path.rsplit("/", 1)[-1].partition(".")[0] in needs.digests
        if not used and is_old(workspace, path, cutoff):
            yield path


def list_reports(
    workspace: Store, shelf: Shelf, gone: Sequence[str], newest: int, cutoff: datetime
) -> Iterator[str]:
    """Yield the pages and answers of old runs whose model is not there any more, or never was."""
    there = {model.id for model in shelf.models if model.present and model.id not in gone}
    seen: Counter[str] = Counter()
    runs: dict[str, bool] = {}
    for receipt in _newest_first(list_receipts(workspace)):
        recipe = str(receipt.recipe.get("name", ""))
        seen[recipe] += 1
        stays = receipt.model_id in there or receipt.created_at >= cutoff
        stays = stays or seen[recipe] <= newest
        runs[receipt.run] = runs.get(receipt.run, False) or stays
    for run in list_folders(workspace, REPORTS):
        if not runs.get(run, True):
            yield from workspace.list(f"{REPORTS}/{run}")


def list_targets(
    workspace: Store, releases: int, cutoff: datetime, ring: KeyRing | None
) -> Iterator[str]:
    """Yield the files of releases that a channel neither offers nor may go back to.

    Each is looked at just before: what another machine has begun to offer again is young by then.
    """
    tagged = {mark.model_id for mark in read_marks(workspace, ring) if mark.sort == "tag"}
    for name in list_channels(workspace):
        channel = open_channel(workspace, name, keys=ring)
        state = load_state(channel)
        offers = [*state.content.offers]
        offers += [
            offer for commit in walk_commits(channel, state) for offer in commit.content.offers
        ]
        last = max((offer.release.number for offer in offers), default=0)
        offered = {offer.release.number for offer in state.content.offers}
        named = {
            f"{file.hashes['sha256']}.{plain}"
            for offer in offers
            for plain, file in offer.files.items()
            if offer.release.number > last - releases
            or offer.release.number in offered
            or offer.release.model_id in tagged
        }
        folder = f"{CHANNELS}/{name}/{TARGETS}"
        for path in workspace.list(folder):
            file = path.rsplit("/", 1)[-1]
            if file not in named and is_old(workspace, path, cutoff):
                yield path


def _newest_first(receipts: Sequence[Receipt]) -> list[Receipt]:
    return sorted(receipts, key=lambda receipt: receipt.created_at, reverse=True)


def list_folders(workspace: Store, folder: str) -> list[str]:
    """List the names of the folders directly in a folder."""
    return sorted({path[len(folder) + 1 :].split("/")[0] for path in workspace.list(folder)})


def is_old(workspace: Store, path: str, cutoff: datetime) -> bool:
    """Tell whether a file was written last before a time, or is gone."""
    try:
        return workspace.modified(path) < cutoff
    except NotFound:
        return True
