"""Champions: the promoted models that a run would replace, asked for the same answers."""

from collections.abc import Iterable, Iterator

from deployments.targets.errors import BadArtifact
from deployments.targets.publish.channel import open_channel, read_champion
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.release import Release
from lightning_modules.specs.forms import AnySample
from storage.base.errors import Corrupt
from storage.base.store import Store, sha256_bytes
from storage.forms.base import RowsSpec
from storage.records.models import model_folder
from tasks.forms.registry import find_task_form
from tasks.objectives.registry import find_objective
from tasks.runtime.errors import StageStopped


def open_champions(
    store: Store, channels: Iterable[str], sample: AnySample, data: RowsSpec, *, stage: str
) -> Iterator[tuple[str, Release, Predictor]]:
    """Yields each channel's champion, if any, ready to answer the samples of a new model.

    Args:
        store: The workspace.
        channels: Names of the channels.
        sample: What the new model takes and answers.
        data: The recipe's rows.
        stage: Who asks.

    Yields:
        Name of the channel, its release, and the model; its bytes are held against the signed
        release first.

    Raises:
        StageStopped: A champion takes other samples: what cannot be compared is not replaced.
        Corrupt: The bytes are not those that the release signed.
    """
    for channel in channels:
        release = read_champion(open_channel(store, channel))
        if release is None:
            continue
        content = read_release(store, release)
        try:
            predictor = Predictor(
                content,
                find_task_form(data).describe_input(sample, data),
                find_objective(sample).describe_compared(sample, data),
                threads=1,
            )
        except BadArtifact as error:
            reason = (
                f"channel {channel} must carry models for the same samples; got {release.title}, "
                f"of which: {error}; name another channel in targets, or use another workspace"
            )
            raise StageStopped(stage, (reason,)) from error
        yield channel, release, predictor


def read_release(store: Store, release: Release) -> bytes:
    """Reads the artifact of a release from its model's directory.

    Raises:
        Corrupt: The bytes are not those that the release signed.
    """
    content = model_folder(store, release.model_id).read(release.file)
    if (found := sha256_bytes(content)) != release.sha256:
        raise Corrupt(
            f"artifact (models/{release.model_id}/{release.file}) must have sha256 "
            f"{release.sha256}, as {release.title} signed; got {found}; run `lepton verify "
            f"{release.model_id}`"
        )
    return content
