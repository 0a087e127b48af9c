"""Promote: the receipt is signed, then each channel takes the bytes that it clears, or none do."""

from deployments.targets.card import CARD_FILE, ArtifactRef, Card, InputSpec
from deployments.targets.channel import create_channel, open_channel, publish
from deployments.targets.errors import ChannelConflict
from storage.files import Store
from storage.models import model_folder
from storage.receipts import ArtifactRecord, Receipt, SignedReceipt
from storage.specs import DataSpec
from tasks.errors import StageStopped
from tasks.receipt import issue_receipt
from tasks.results import Promoted
from tasks.stage import stage


@stage
def promote(workspace: str, receipt: Receipt, name: str, kind: str, data: DataSpec) -> Promoted:
    """Publishes the chosen artifacts to the channels that the receipt clears, in the order of their names.

    Every run takes the channels in the same order, so that of two runs at once the first to win a channel wins them all.

    Raises:
        StageStopped: Another run's release took the place that this one was judged against.
    """
    store = Store(workspace)
    signed = issue_receipt(store, receipt)
    releases = {}
    for channel_name in sorted(receipt.channels):
        try:
            releases[channel_name] = _publish(store, signed, channel_name, name, kind, data)
        except ChannelConflict as conflict:
            raise StageStopped("promote", (str(conflict),)) from conflict
    return Promoted(receipt=signed.id, releases=releases)


def _publish(store: Store, signed: SignedReceipt, channel_name: str, name: str, kind: str, data: DataSpec) -> int:
    """Publishes one channel's artifact with a card for the device. Returns the release's number."""
    receipt = signed.receipt
    cleared = receipt.channels[channel_name]
    chosen = next(entry for entry in receipt.artifacts if entry.name == cleared.artifact)
    model_id = receipt.model.id if receipt.model is not None else ""
    card = _make_card(signed, chosen, model_id, name, kind, data)
    files = {chosen.file: model_folder(store, model_id).read(chosen.file), CARD_FILE: card.to_bytes()}
    channel = open_channel(store, channel_name)
    create_channel(channel)
    release = publish(channel, receipt=signed.content, files=files, artifact=chosen.name, expected=cleared.expected)
    return release.number


def _make_card(
    signed: SignedReceipt, chosen: ArtifactRecord, model_id: str, name: str, kind: str, data: DataSpec
) -> Card:
    image = data.image
    return Card(
        model_id=model_id,
        name=name,
        kind=kind,
        input=InputSpec(name="image", dtype=image.dtype, shape=image.shape, value_range=image.value_range),
        labels=data.labels,
        artifact=ArtifactRef(name=chosen.name, file=chosen.file, sha256=chosen.sha256),
        receipt=signed.id,
    )
