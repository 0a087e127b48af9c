"""The models of a workspace: what receipts, channels and people say of each of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from deployments.targets.errors import TargetError
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.marks import Mark, check_tag, drop_mark, read_marks, write_mark
from storage.base.errors import NotFound, StorageError
from storage.base.figures import Figure, find_figure
from storage.base.store import Store
from storage.records.models import FOLDER
from storage.records.receipts import Receipt
from tasks.forms.streams import HELD_OUT
from tasks.gates.accepted import list_receipts
from tasks.release.stays import Stay, list_channels, list_stays
from tasks.runtime.outcome_base import Result

LEAST_DIGITS = 8


class ShelfModel(Result):
    """One model.

    Attributes:
        receipt: Its newest promoted receipt, else its newest.
        stays: Where it is or was live, the latest last.
        tags: Names that it goes by.
        retired: Why it is over; None: it is not.
        present: Whether its files are still there.
    """

    receipt: Receipt
    stays: tuple[Stay, ...] = ()
    tags: tuple[str, ...] = ()
    retired: Mark | None = None
    present: bool = True

    @property
    def id(self) -> str:
        """Its identity."""
        return self.receipt.model_id or ""

    @property
    def recipe(self) -> str:
        """Name of the recipe that it was made by."""
        return str(self.receipt.recipe.get("name", ""))

    @property
    def headline(self) -> Figure | None:
        """The figure on held-out rows that it is judged by first; None without one."""
        return find_figure(self.receipt.figures, self.receipt.headline, HELD_OUT)

    @property
    def live(self) -> tuple[Stay, ...]:
        """Where it is live now."""
        return tuple(stay for stay in self.stays if stay.until is None)


class Shelf(Result):
    """All models of a workspace, the newest first.

    Attributes:
        models: The models that have a receipt.
        faults: One sentence for each channel or record that cannot be read here.
    """

    models: tuple[ShelfModel, ...]
    faults: tuple[str, ...] = ()

    def find(self, reference: str) -> ShelfModel:
        """Find the model of an id, of a unique prefix of one, or of a tag.

        Raises:
            NotFound: None, or more than one, goes by that name.
        """
        name = reference.lower()
        found = [model for model in self.models if name in model.tags]
        if not found and len(name) >= LEAST_DIGITS:
            found = [model for model in self.models if model.id.startswith(name)]
        if len(found) != 1:
            raise NotFound(
                f"model ({reference}) must be a tag, an id or {LEAST_DIGITS} digits of one; got "
                f"{len(found)} of {len(self.models)} models; see `lepton models list`, or give "
                "--workspace"
            )
        return found[0]


def read_shelf(workspace: Store, ring: KeyRing | None = None) -> Shelf:
    """Read what is known of a workspace's models."""
    faults: list[str] = []
    stays: list[Stay] = []
    for channel in list_channels(workspace):
        try:
            stays += list_stays(workspace, channel, ring)
        except (TargetError, StorageError) as error:
            faults.append(str(error))
    marks: list[Mark] = []
    try:
        marks = read_marks(workspace, ring)
    except TargetError as error:
        faults.append(str(error))
    # Not by folders: a removal that was killed may have left an empty one.
    present = {path.split("/")[1] for path in workspace.list(FOLDER)}
    models = [
        ShelfModel(
            receipt=receipt,
            stays=tuple(stay for stay in stays if stay.model_id == receipt.model_id),
            tags=tuple(each.name for each in _of(marks, receipt, "tag")),
            retired=next(
                # A run that made it anew took it up again.
                (each for each in _of(marks, receipt, "retired") if each.at >= receipt.created_at),
                None,
            ),
            present=receipt.model_id in present,
        )
        for receipt in _choose_receipts(list_receipts(workspace))
    ]
    return Shelf(models=tuple(models), faults=tuple(faults))


def _of(marks: Iterable[Mark], receipt: Receipt, sort: str) -> list[Mark]:
    return [mark for mark in marks if (mark.sort, mark.model_id) == (sort, receipt.model_id)]


def _choose_receipts(receipts: Sequence[Receipt]) -> list[Receipt]:
    """Choose one receipt a model, and return them with the newest first."""
    ordered = sorted(receipts, key=lambda each: (each.promoted, each.created_at))
    chosen = {each.model_id: each for each in ordered if each.model_id is not None}
    return sorted(chosen.values(), key=lambda each: each.created_at, reverse=True)


def tag_model(
    workspace: Store, model: ShelfModel, name: str, *, author: str, move: bool = False
) -> None:
    """Let a model go by a name, which no clean-up removes it under.

    Raises:
        TargetError: The name cannot be one, is another model's, or the model is retired.
    """
    check_tag(name)
    held = [mark for mark in read_marks(workspace) if (mark.sort, mark.name) == ("tag", name)]
    if held and held[0].model_id != model.id and not move:
        raise TargetError(
            f"tag ({name}) must be free; got that of model {held[0].model_id[:12]}; give --move to "
            "take it from there"
        )
    if model.retired is not None:
        raise TargetError(
            f"model ({model.id[:12]}) must be in use to be tagged; got one that was retired by "
            f"{model.retired.author}; tag another"
        )
    mark = Mark(sort="tag", name=name, model_id=model.id, at=_now(), author=author)
    write_mark(workspace, mark)


def untag_model(workspace: Store, model: ShelfModel, name: str) -> None:
    """Take a name from a model.

    Raises:
        TargetError: It does not go by that name.
    """
    if name not in model.tags:
        raise TargetError(
            f"tag ({name}) must be one of model {model.id[:12]}; got its tags "
            f"{list(model.tags)}; see `lepton models list`"
        )
    drop_mark(workspace, "tag", name)


def retire_model(workspace: Store, model: ShelfModel, *, author: str, reason: str) -> None:
    """Say that a model is over: the next `lepton gc` removes its files, whatever their age.

    Raises:
        TargetError: It is live on a channel, or goes by a name.
    """
    live = [f"channel {stay.channel}" for stay in model.live]
    if live or model.tags:
        raise TargetError(
            f"model ({model.id[:12]}) must be live nowhere and have no tag to be retired; got "
            f"{', '.join([*live, *(f'tag {tag}' for tag in model.tags)])}; roll the channel back "
            "or promote another first, or remove the tag with `lepton models tag --remove`"
        )
    mark = Mark(
        sort="retired", name=model.id, model_id=model.id, at=_now(), author=author, reason=reason
    )
    write_mark(workspace, mark)


def _now() -> datetime:
    return datetime.now(UTC)
