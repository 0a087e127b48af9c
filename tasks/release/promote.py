"""Promote: the receipt is signed, then each channel takes the bytes that it clears, or none do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from deployments.targets.errors import ChannelConflict, ChannelHeld
from deployments.targets.publish.change import require_free
from deployments.targets.publish.channel import create_channel, open_channel, publish
from deployments.targets.specs import TargetSpec
from deployments.targets.trust.card import CARD_FILE, ArtifactRef, Card
from deployments.targets.trust.golden import Golden, name_golden_file
from deployments.targets.trust.rollout import Rollout, make_rollout
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
    targets: Mapping[str, TargetSpec] = MappingProxyType({}),
) -> Promoted:
    """Publishes the chosen artifacts to the channels that the receipt clears.

    Nothing is published where one of them takes no new release. Every run takes the channels in
    the order of their names, so that of two runs at once the first to win a channel wins them all.

    Raises:
        StageStopped: Another run's release took the place that this one was judged against, or a
            person holds a channel.
    """
    store = Store(workspace)
    if held := _list_held(store, sorted(receipt.channels)):
        raise StageStopped("promote", held)
    signed = issue_receipt(store, receipt)
    releases = {}
    cards = CardMaker(signed, compressed, name, kind)
    for channel_name in sorted(receipt.channels):
        try:
            rollout = find_rollout(targets.get(channel_name, TargetSpec()))
            releases[channel_name] = _publish(store, signed, channel_name, cards, rollout)
        except (ChannelConflict, ChannelHeld) as refused:
            raise StageStopped("promote", (str(refused),)) from refused
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


def _list_held(store: Store, channels: Sequence[str]) -> tuple[str, ...]:
    """List why channels take no new release, one sentence each."""
    reasons = []
    for name in channels:
        try:
            require_free(open_channel(store, name))
        except ChannelHeld as held:
            reasons.append(str(held))
    return tuple(reasons)


def find_rollout(target: TargetSpec) -> Rollout:
    """Return whom a new release of a target reaches first."""
    return make_rollout(target.share, target.not_before, target.classes)


def _publish(
    store: Store, signed: SignedReceipt, channel_name: str, cards: CardMaker, rollout: Rollout
) -> int:
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
        rollout=rollout,
        author=f"run {receipt.run}",
    )
    return release.number
