"""The champion of a recipe: the promoted model on its channels, whose answers come back."""

from collections.abc import Iterable
from dataclasses import dataclass

from deployments.targets.publish.channel import open_channel, read_champion
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.release import Release
from storage.base.store import Store
from tasks.feedback.models import KnownModel, ModelBook
from tasks.training.champions import read_release


@dataclass(frozen=True)
class Champion:
    """A recipe's promoted model.

    Attributes:
        model: The model.
        releases: Its release on each channel that carries it, by the channel's name.
    """

    model: KnownModel
    releases: dict[str, Release]

    def open_artifacts(self) -> dict[str, tuple[tuple[str, ...], Predictor]]:
        """Open the exact bytes that channels carry: channels and predictor by the file's name.

        Raises:
            BadArtifact: The bytes are not the model that its receipt describes.
            Corrupt: The bytes are not those that the release signed.
        """
        found = {}
        for file in sorted({release.file for release in self.releases.values()}):
            channels = tuple(
                name for name, release in self.releases.items() if release.file == file
            )
            content = read_release(self.model.store, self.releases[channels[0]])
            model = self.model
            found[file] = (channels, Predictor(content, model.input, model.outputs, threads=1))
        return found


def find_champion(store: Store, channels: Iterable[str]) -> Champion | None:
    """Find the model that was promoted last to any of a recipe's channels; None without one.

    Args:
        store: The workspace.
        channels: Names of the channels.

    Raises:
        StartError: The model's receipt is gone, or no trusted key signed it.
        ChannelCorrupt: A channel does not verify.
    """
    found = {name: read_champion(open_channel(store, name)) for name in channels}
    releases = {name: release for name, release in found.items() if release is not None}
    if not releases:
        return None
    newest = max(releases.values(), key=lambda release: release.published_at).model_id
    carried = {name: each for name, each in releases.items() if each.model_id == newest}
    return Champion(ModelBook(store).require(newest), carried)
