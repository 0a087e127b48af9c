"""Finds the model that a batch is asked of: proven as a device proves it, or by its receipt."""

from dataclasses import dataclass

from deployments.targets.run.live import Runtime
from deployments.targets.run.runtime import Predictor
from deployments.targets.run.self_test import check_golden
from deployments.targets.trust.card import ArtifactRef, Card
from deployments.targets.trust.golden import Golden, name_golden_file
from storage.base.errors import NotFound
from storage.base.store import Store
from storage.records.models import model_folder
from storage.records.receipts import Receipt
from tasks.feedback.models import KnownModel
from tasks.runtime.errors import BatchError, StartError
from tasks.training.start import find_model

CHANNELS, CLOUD = "channels", "cloud"


@dataclass(frozen=True)
class AskedModel:
    """A model that answers a batch.

    Attributes:
        known: The model, as its receipt tells it.
        card: The card of the artifact that answers.
        channel: The channel that it was taken from; None where it was named itself.
        release: The channel's release.
    """

    known: KnownModel
    card: Card
    channel: str | None = None
    release: int | None = None


def find_asked_model(store: Store, channel: str | None, model: str | None) -> AskedModel:
    """Find the model that is meant, and see that the artifact is in this workspace.

    Args:
        store: The workspace.
        channel: A channel, whose champion answers; None and no model: the only one, or `cloud`.
        model: A model's id, or its first 8 digits or more.

    Raises:
        BatchError: Both are given, or neither and none can be told; the channel is refused, so that
            only what it gave before is known; or the model is not this workspace's.
        ChannelError: The channel gives nothing that can be trusted.
    """
    if channel is not None and model is not None:
        raise BatchError("batch must be asked of a channel or of a model; got both; give one")
    if model is not None:
        return _find_named(store, model)
    runtime = Runtime(channel or _choose_channel(store), store)
    if runtime.state.status == "refused":
        raise BatchError(
            f"channel ({runtime.channel}) must be trusted as it stands; got one that is refused: "
            f"{runtime.state.reason}; mend it, or name the model: --model ID"
        )
    live = runtime.current
    found = AskedModel(
        KnownModel(store, _find_receipt(store, live.model_id)),
        live.card,
        live.verified.release.channel,
        live.release,
    )
    return _require_file(found)


def _choose_channel(store: Store) -> str:
    names = sorted(store.listdir(CHANNELS))
    if len(names) == 1 or CLOUD in names:
        return CLOUD if CLOUD in names else names[0]
    raise BatchError(
        f"batch must be asked of a channel of {store.display}; got "
        f"{', '.join(names) or 'a workspace without any'}; name one (--channel), or a model"
    )


def _find_receipt(store: Store, model: str) -> Receipt:
    try:
        return find_model(store, model)
    except StartError as error:
        raise BatchError(
            f"model ({model[:12]}) must be a promoted one of {store.display}, for its rows are "
            f"what a batch is compared with; got: {error}"
        ) from error


def _find_named(store: Store, model: str) -> AskedModel:
    """Make the card of a named model, by the first artifact that its receipt clears."""
    known = KnownModel(store, _find_receipt(store, model))
    receipt = known.receipt
    cleared = {record.sha256 for record in receipt.channels.values()}
    chosen = next(record for record in receipt.artifacts if record.sha256 in cleared)
    folder = model_folder(store, known.id)
    try:
        golden = Golden.parse(folder.read(name_golden_file(chosen.name)))
    except NotFound as error:
        raise _explain_absence(known) from error
    card = Card(
        model_id=known.id,
        name=known.recipe,
        kind=str(known.document.get("kind")),
        objective=known.objective,
        input=known.input,
        outputs=known.outputs,
        artifact=ArtifactRef(name=chosen.name, file=chosen.file, sha256=chosen.sha256),
        golden=golden,
        receipt=receipt.id,
    )
    return _require_file(AskedModel(known, card))


def _require_file(asked: AskedModel) -> AskedModel:
    card, store = asked.card, asked.known.store
    if not model_folder(store, card.model_id).exists(card.artifact.file):
        raise _explain_absence(asked.known)
    return asked


def _explain_absence(known: KnownModel) -> BatchError:
    return BatchError(
        f"model ({known.id[:12]}) must have its files in {known.store.display}; got none; restore "
        "them, or name a model that has them"
    )


def open_predictor(store: Store, card: Card) -> Predictor:
    """Load an artifact of the workspace, and test it on its golden samples.

    Raises:
        BadArtifact: The bytes are others, or do not answer here as they must.
    """
    content = model_folder(store, card.model_id).read(card.artifact.file)
    predictor = Predictor.from_card(content, card, threads=1)
    check_golden(predictor, card.golden)
    return predictor
