"""Promote: the receipt is signed, then each channel takes the bytes that it clears, or none do."""

from dataclasses import dataclass

from deployments.targets.errors import ChannelConflict
from deployments.targets.publish.channel import create_channel, open_channel, publish
from deployments.targets.trust.card import CARD_FILE, ArtifactRef, Card
from deployments.targets.trust.golden import Golden, name_golden_file
from storage.base.store import Store
from storage.records.models import model_folder
from storage.records.receipt_files import SignedReceipt
from storage.records.receipts import ArtifactRecord, Receipt
from tasks.release.receipt import issue_receipt
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Compressed, Promoted
from tasks.runtime.stage import stage


@stage
def promote(
    workspace: str,
    receipt: Receipt,
    compressed: Compressed,
    name: str,
    kind: str,
) -> Promoted:
    """Publishes the chosen artifacts to the channels that the receipt clears.

    Every run takes the channels in the order of their names, so that of two runs at once the first
    to win a channel wins them all.

    Raises:
        StageStopped: Another run's release took the place that this one was judged against.
    """
    store = Store(workspace)
    signed = issue_receipt(store, receipt)
    releases = {}
    cards = CardMaker(signed, compressed, name, kind)
    for channel_name in sorted(receipt.channels):
        try:
            releases[channel_name] = _publish(store, signed, channel_name, cards)
        except ChannelConflict as conflict:
            raise StageStopped("promote", (str(conflict),)) from conflict
    return Promoted(receipt=signed.id, releases=releases)


@dataclass(frozen=True)
class CardMaker:
    """What the cards of a run's artifacts have in common."""

    signed: SignedReceipt
    compressed: Compressed
    name: str
    kind: str

    @property
    def objective(self) -> str:
        """What the model is asked, as the receipt signs it."""
        model = self.signed.receipt.model
        return model.objective if model is not None else ""

    def make(self, chosen: ArtifactRecord, golden: Golden) -> Card:
        """Makes the card of one artifact: by which a device feeds, reads and tests it."""
        return Card(
            model_id=self.compressed.model_id,
            name=self.name,
            kind=self.kind,
            objective=self.objective,
            input=self.compressed.input,
            outputs=self.compressed.outputs,
            artifact=ArtifactRef(name=chosen.name, file=chosen.file, sha256=chosen.sha256),
            golden=golden,
            receipt=self.signed.id,
        )


def _publish(store: Store, signed: SignedReceipt, channel_name: str, cards: CardMaker) -> int:
    """Publishes one channel's artifact with its card, and returns the release's number."""
    receipt = signed.receipt
    cleared = receipt.channels[channel_name]
    chosen = next(entry for entry in receipt.artifacts if entry.name == cleared.artifact)
    model_id = receipt.model.id if receipt.model is not None else ""
    folder = model_folder(store, model_id)
    golden = Golden.parse(folder.read(name_golden_file(chosen.name)))
    files = {
        chosen.file: folder.read(chosen.file),
        CARD_FILE: cards.make(chosen, golden).to_bytes(),
    }
    channel = open_channel(store, channel_name)
    create_channel(channel, found_absent=cleared.expected is None)
    release = publish(
        channel,
        receipt=signed.content,
        files=files,
        artifact=chosen.name,
        expected=cleared.expected,
    )
    return release.number
