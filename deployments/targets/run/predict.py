"""`lepton predict`: update from a channel, verify, answer for files; all a device needs."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from deployments.targets.run.inputs import load_samples
from deployments.targets.run.live import LiveModel, Runtime
from deployments.targets.run.predictions import Prediction
from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store

logger = logging.getLogger(__name__)


def predict(
    channel: str,
    files: Iterable[str],
    workspace: str | Store = "workspace",
    *,
    keys: KeyRing | None = None,
    cache: Path | None = None,
    threads: int = 1,
) -> Iterator[Prediction]:
    """Answer for files with a channel's champion.

    Where the channel is refused, the model that was verified last answers. The update and the
    loading happen at the call, the answers as they are asked for.

    Args:
        channel: A name in the workspace, or the address of a channel.
        files: Pictures or .npy files of one sample each, or CSV or .npy files of rows; paths or
            fsspec URLs.
        workspace: The workspace.
        keys: Pinned roots and trusted receipt keys; None: those of the config directory.
        cache: Where verified models are kept; None: the user's cache directory.
        threads: Threads of the runtime.

    Raises:
        ChannelRefused: The channel gives nothing that can be trusted, and no model was verified
            here before.
        BadInput: While iterating: a file is not what the model takes.
        BadArtifact: While iterating: the model fails, or nothing here reads files of its form.
    """
    runtime = Runtime(channel, workspace, keys=keys, cache=cache, threads=threads)
    live = runtime.current
    if runtime.state.status == "updated":
        logger.info("Took %s from channel %s", live.verified.release.title, channel)
    return answer_files(live, files)


def answer_files(live: LiveModel, files: Iterable[str]) -> Iterator[Prediction]:
    """Answer for files, one after the other, with a model that is loaded.

    Raises:
        BadInput: A file is not what the model takes.
        BadArtifact: The model fails, or nothing here reads files of its form.
    """
    for file in files:
        samples = load_samples(file, live.card)
        answers = live.answer(samples.raw)
        yield from live.tell(
            answers,
            file=file,
            notes=samples.notes,
            names=samples.names,
            times=samples.times,
        )
