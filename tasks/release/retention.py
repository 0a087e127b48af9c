"""What a workspace no longer needs: models, weights, reports, data versions, files of channels.

Needed is what a channel offers or may go back to, what has a tag, what is young, what a person is
asked of, the newest of each recipe, and all that the receipts of these name. Receipts stay, and so
do the latest version of each data set and the one that was accepted last. A model that goes is
marked as retired before its first file is deleted, so that nobody takes it up meanwhile; a call
that was killed is finished by the next one, which finds the same again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import Field

from deployments.targets.errors import TargetError
from deployments.targets.publish.channel import open_channel
from deployments.targets.publish.history import walk_commits
from deployments.targets.publish.repository import load_state
from deployments.targets.trust.address import CHANNELS, TARGETS
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.marks import Mark, drop_mark, write_mark
from storage.base.errors import NotFound
from storage.base.store import Store
from storage.records.models import FOLDER as MODELS
from storage.records.models import WEIGHTS
from storage.records.receipt_files import find_damaged
from storage.records.receipts import Receipt
from tasks.gates.accepted import list_receipts
from tasks.release.approval import list_awaited
from tasks.release.old_versions import drop_found, find_versions
from tasks.release.shelf import Shelf, ShelfModel, read_shelf
from tasks.release.stays import list_channels
from tasks.runtime.outcome_base import Result

REPORTS = "reports"
AUTHOR = "lepton gc"
AT_WORK = timedelta(days=1)
"""Age of a file from which on no run is still about to name it."""


class Policy(Result):
    """What is kept.

    Attributes:
        newest: Promoted models, and runs, of each recipe.
        releases: Releases of each channel, to go back to.
        age: Whatever is younger.
    """

    newest: int
    releases: int
    age: timedelta


class Removal(Result):
    """What is no longer needed.

    Attributes:
        models: Ids of models.
        versions: Versions of data sets, by name; their files go by a collection of each data set.
        paths: All other files, by their path in the workspace.
        size_bytes: Bytes of these files, and of what the collections deleted.
        waiting: Data sets whose files go by a later call, since another collection is not over.
    """

    models: tuple[str, ...] = ()
    versions: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    paths: tuple[str, ...] = ()
    size_bytes: int = 0
    waiting: tuple[str, ...] = ()


def find_removal(
    workspace: Store, policy: Policy, ring: KeyRing | None = None, now: datetime | None = None
) -> Removal:
    """Find what a workspace no longer needs.

    Raises:
        TargetError: A channel, a tag or a receipt cannot be read, so that this cannot be known.
    """
    shelf = _read_whole(workspace, ring)
    return _find_unneeded(workspace, shelf, policy, ring, now or datetime.now(UTC))


def _find_unneeded(
    workspace: Store, shelf: Shelf, policy: Policy, ring: KeyRing | None, now: datetime
) -> Removal:
    cutoff, settled = now - policy.age, now - max(policy.age, AT_WORK)
    needed = _find_needed(shelf, policy, cutoff) | list_awaited(workspace, cutoff, ring)
    models = tuple(
        model_id
        for model_id in _list_folders(workspace, MODELS)
        if model_id not in needed and _is_over(workspace, shelf, model_id, cutoff, settled)
    )
    paths = [
        *(path for model_id in models for path in workspace.list(f"{MODELS}/{model_id}")),
        *_list_weights(workspace, shelf, models, settled),
        *_list_reports(workspace, shelf, models, policy, cutoff),
        *_list_targets(workspace, shelf, policy, settled, ring),
    ]
    return Removal(
        models=models,
        versions=find_versions(workspace, shelf, models, cutoff, settled),
        paths=tuple(paths),
        size_bytes=sum(_measure(workspace, path) for path in paths),
    )


def remove(workspace: Store, policy: Policy, ring: KeyRing | None = None) -> Removal:
    """Delete what a workspace no longer needs; returns what was deleted.

    Raises:
        TargetError: What is needed cannot be known; nothing is deleted then.
    """
    shelf = _read_whole(workspace, ring)
    found = _find_unneeded(workspace, shelf, policy, ring, datetime.now(UTC))
    marked = [model for model in shelf.models if model.id in found.models and not model.retired]
    for model in marked:
        _mark(workspace, model, ring)
    # Whoever took one up before it was marked is seen now; who comes later sees the mark.
    again = _read_whole(workspace, ring)
    taken = {model.id for model in again.models if model.live or model.tags}
    for model in marked:
        if model.id in taken:
            drop_mark(workspace, "retired", model.id)
    kept = tuple(f"{MODELS}/{model_id}/" for model_id in taken)
    paths = tuple(path for path in found.paths if not path.startswith(kept))
    for path in paths:
        workspace.delete(path)
    models = tuple(model_id for model_id in found.models if model_id not in taken)
    moment = datetime.now(UTC)
    cutoff, settled = moment - policy.age, moment - max(policy.age, AT_WORK)
    versions = find_versions(workspace, again, models, cutoff, settled)
    size_bytes, waiting = drop_found(workspace, versions, reason=AUTHOR)
    return Removal(
        models=models,
        versions=versions,
        paths=paths,
        size_bytes=found.size_bytes + size_bytes,
        waiting=waiting,
    )


def _mark(workspace: Store, model: ShelfModel, ring: KeyRing | None) -> None:
    mark = Mark(
        sort="retired",
        name=model.id,
        model_id=model.id,
        at=datetime.now(UTC),
        author=AUTHOR,
        reason="no channel, tag, count or age kept it",
    )
    write_mark(workspace, mark, ring)


def _read_whole(workspace: Store, ring: KeyRing | None) -> Shelf:
    """Read the shelf, if all of it can be read: what cannot may name what would go."""
    shelf = read_shelf(workspace, ring)
    faults = [*shelf.faults, *find_damaged(workspace)]
    if faults:
        raise TargetError(
            f"workspace ({workspace.display}) must be readable as a whole before anything is "
            f"removed; got {'; '.join(faults)}; mend that first"
        )
    return shelf


def _find_needed(shelf: Shelf, policy: Policy, cutoff: datetime) -> set[str]:
    """Find the models that stay, with those that they started from."""
    needed: set[str] = set()
    seen: Counter[str] = Counter()
    highest: dict[str, int] = {}
    for stay in (stay for model in shelf.models for stay in model.stays):
        highest[stay.channel] = max(stay.number, highest.get(stay.channel, 0))
    for model in shelf.models:
        near = any(stay.number > highest[stay.channel] - policy.releases for stay in model.stays)
        kept = bool(model.live or model.tags or near)
        if model.retired is None:
            seen[model.recipe] += model.receipt.promoted
            newest = model.receipt.promoted and seen[model.recipe] <= policy.newest
            kept = kept or newest or model.receipt.created_at >= cutoff
        if kept:
            needed.add(model.id)
    known = {model.id: model for model in shelf.models}
    todo = list(needed)
    while todo:
        named = known.get(todo.pop())
        start = named.receipt.model.start if named and named.receipt.model else None
        if start is not None and start.model is not None and start.model not in needed:
            needed.add(start.model)
            todo.append(start.model)
    return needed


def _is_over(
    workspace: Store, shelf: Shelf, model_id: str, cutoff: datetime, settled: datetime
) -> bool:
    """Tell whether a model that nothing needs is old, or retired."""
    model = next((each for each in shelf.models if each.id == model_id), None)
    if model is not None:
        return model.retired is not None or model.receipt.created_at < cutoff
    return all(_is_old(workspace, path, settled) for path in workspace.list(f"{MODELS}/{model_id}"))


def _list_weights(
    workspace: Store, shelf: Shelf, gone: Sequence[str], cutoff: datetime
) -> Iterator[str]:
    """Yield weights from elsewhere that no model which stays started from."""
    named = {
        model.receipt.model.start.path
        for model in shelf.models
        if model.id not in gone and model.receipt.model and model.receipt.model.start
    }
    for path in workspace.list(WEIGHTS):
        if path not in named and _is_old(workspace, path, cutoff):
            yield path


def _list_reports(
    workspace: Store, shelf: Shelf, gone: Sequence[str], policy: Policy, cutoff: datetime
) -> Iterator[str]:
    """Yield the pages and answers of old runs whose model is not there any more, or never was."""
    there = {model.id for model in shelf.models if model.present and model.id not in gone}
    seen: Counter[str] = Counter()
    runs: dict[str, bool] = {}
    for receipt in _newest_first(list_receipts(workspace)):
        recipe = str(receipt.recipe.get("name", ""))
        seen[recipe] += 1
        stays = receipt.model_id in there or receipt.created_at >= cutoff
        stays = stays or seen[recipe] <= policy.newest
        runs[receipt.run] = runs.get(receipt.run, False) or stays
    for run in _list_folders(workspace, REPORTS):
        if not runs.get(run, True):
            yield from workspace.list(f"{REPORTS}/{run}")


def _list_targets(
    workspace: Store, shelf: Shelf, policy: Policy, cutoff: datetime, ring: KeyRing | None
) -> Iterator[str]:
    """Yield the files of releases that a channel neither offers nor may go back to."""
    tagged = {model.id for model in shelf.models if model.tags}
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
            if offer.release.number > last - policy.releases
            or offer.release.number in offered
            or offer.release.model_id in tagged
        }
        folder = f"{CHANNELS}/{name}/{TARGETS}"
        for path in workspace.list(folder):
            file = path.rsplit("/", 1)[-1]
            if file not in named and _is_old(workspace, path, cutoff):
                yield path


def _newest_first(receipts: Sequence[Receipt]) -> list[Receipt]:
    return sorted(receipts, key=lambda receipt: receipt.created_at, reverse=True)


def _list_folders(workspace: Store, folder: str) -> list[str]:
    return sorted({path[len(folder) + 1 :].split("/")[0] for path in workspace.list(folder)})


def _is_old(workspace: Store, path: str, cutoff: datetime) -> bool:
    try:
        return workspace.modified(path) < cutoff
    except NotFound:
        return True


def _measure(workspace: Store, path: str) -> int:
    try:
        return workspace.size(path)
    except NotFound:
        return 0
