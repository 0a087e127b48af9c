"""What a workspace no longer needs: models, weights, reports, data versions, files of channels.

Needed is what a channel offers or may go back to, what has a tag, what is young, what a run at work
has begun or needs, what a person is asked of, the newest of each recipe, and all that the receipts
of these name. Receipts stay, and so do the latest version of each data set and the one that was
accepted last. A model that goes is marked as retired before its first file is deleted, so that
nobody takes it up meanwhile; a call that was killed is finished by the next one, which finds the
same again.
"""

from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from pydantic import Field

from deployments.targets.errors import TargetError
from deployments.targets.publish.channel import open_channel
from deployments.targets.publish.keeping import hold_still
from deployments.targets.trust.address import CHANNELS
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.marks import Mark, drop_mark, write_mark
from storage.base.errors import NotFound
from storage.base.store import Store
from storage.records.models import FOLDER as MODELS
from storage.records.models import WEIGHTS
from storage.records.receipt_files import find_damaged
from tasks.release.approval import list_awaited
from tasks.release.at_work import list_needs, list_over
from tasks.release.old_files import (
    is_old,
    list_folders,
    list_reports,
    list_targets,
    list_weights,
)
from tasks.release.old_versions import drop_found, find_versions
from tasks.release.shelf import Shelf, ShelfModel, read_shelf
from tasks.release.stays import list_channels
from tasks.runtime.outcome_base import Result

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
    return _find_unneeded(workspace, policy, ring, now or datetime.now(UTC))[0]


def _find_unneeded(
    workspace: Store, policy: Policy, ring: KeyRing | None, now: datetime
) -> tuple[Removal, Shelf]:
    """Returns it with the shelf that it was found by."""
    # What runs need comes before the receipts: one that ends in between is seen in either.
    needs = list_needs(workspace, now, ring)
    shelf = _read_whole(workspace, ring)
    cutoff, settled = now - policy.age, now - max(policy.age, AT_WORK)
    needed = _find_needed(shelf, policy, cutoff) | list_awaited(workspace, cutoff, ring)
    needed |= needs.digests
    models = tuple(
        model_id
        for model_id in list_folders(workspace, MODELS)
        if model_id not in needed and _is_over(workspace, shelf, model_id, cutoff, settled)
    )
    paths = [
        *list_targets(workspace, policy.releases, settled, ring),
        *(path for model_id in models for path in workspace.list(f"{MODELS}/{model_id}")),
        *list_weights(workspace, shelf, models, needs, settled),
        *list_over(workspace, now, ring),
        *list_reports(workspace, shelf, models, policy.newest, cutoff),
    ]
    removal = Removal(
        models=models,
        versions=find_versions(workspace, shelf, models, needs, cutoff, settled),
        paths=tuple(paths),
        size_bytes=sum(_measure(workspace, path) for path in paths),
    )
    return removal, shelf


def remove(workspace: Store, policy: Policy, ring: KeyRing | None = None) -> Removal:
    """Delete what a workspace no longer needs; returns what was deleted.

    Raises:
        TargetError: What is needed cannot be known, or a channel is being changed all the time;
            nothing is deleted then.
    """
    moment = datetime.now(UTC)
    found, shelf = _find_unneeded(workspace, policy, ring, moment)
    cutoff, settled = moment - policy.age, moment - max(policy.age, AT_WORK)
    marked = [model for model in shelf.models if model.id in found.models and not model.retired]
    for model in marked:
        _mark(workspace, model, ring)
    with ExitStack() as stack:
        for name in list_channels(workspace):
            stack.enter_context(hold_still(open_channel(workspace, name, keys=ring)))
        # First what a channel could go back to: a model goes once nobody can offer it again.
        paths = []
        for path in list_targets(workspace, policy.releases, settled, ring):
            workspace.delete(path)
            paths.append(path)
        # Whoever took one up before it was marked is seen now; who comes later sees the mark.
        needs = list_needs(workspace, moment, ring)
        again = _read_whole(workspace, ring)
        taken = {model.id for model in again.models if model.live or model.tags} | needs.digests
        for model_id in taken & {model.id for model in marked}:
            drop_mark(workspace, "retired", model_id)
        paths += _delete(workspace, found, taken)
    models = tuple(model_id for model_id in found.models if model_id not in taken)
    versions = find_versions(workspace, again, models, needs, cutoff, settled)
    size_bytes, waiting = drop_found(workspace, versions, reason=AUTHOR)
    return Removal(
        models=models,
        versions=versions,
        paths=tuple(paths),
        size_bytes=found.size_bytes + size_bytes,
        waiting=waiting,
    )


def _delete(workspace: Store, found: Removal, taken: Collection[str]) -> list[str]:
    """Deletes all that was found but channels' files, and what is taken up: models and weights."""
    kept = (f"{CHANNELS}/", *(f"{root}/{name}" for root in (MODELS, WEIGHTS) for name in taken))
    paths = [path for path in found.paths if not path.startswith(kept)]
    for path in paths:
        workspace.delete(path)
    return paths


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
    return all(is_old(workspace, path, settled) for path in workspace.list(f"{MODELS}/{model_id}"))


def _measure(workspace: Store, path: str) -> int:
    try:
        return workspace.size(path)
    except NotFound:
        return 0
