"""`lepton predict`: update from a channel, verify, answer for files. What a device runs; the platform is not needed."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from deployments.targets.client import VerifiedModel, update_model
from deployments.targets.inputs import load_input
from deployments.targets.keys import KeyRing
from deployments.targets.runtime import Predictor
from storage.files import Store

logger = logging.getLogger(__name__)


class Prediction(BaseModel):
    """One answer.

    Attributes:
        file: The file, as it was given.
        label: The class's name.
        confidence: The model's probability of it, 0..1.
        model_id: Which model answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    label: str
    confidence: float
    model_id: str


def predict(
    channel: str,
    files: Iterable[str],
    workspace: str | Store = "workspace",
    *,
    keys: KeyRing | None = None,
    cache: Path | None = None,
    threads: int = 1,
) -> Iterator[Prediction]:
    """Answers for files with the champion of a channel, or with the model verified last where the channel is refused.

    The update and the loading happen at the call, the answers as they are asked for.

    Args:
        channel: A name in the workspace, or the address of a channel.
        files: PNG, JPEG or .npy files of one sample each, paths or fsspec URLs.
        workspace: The workspace.
        keys: Pinned roots and trusted receipt keys; None: those of the config directory.
        cache: Where verified models are kept; None: the user's cache directory.
        threads: Threads of the runtime.

    Raises:
        ChannelRefused: The channel gives nothing that can be trusted, and no model was verified here before.
        BadArtifact: The verified bytes are not the model that their card describes.
        BadInput: While iterating: a file is not what the model takes.
    """
    update = update_model(channel, workspace, keys=keys, cache=cache)
    if update.status == "updated":
        logger.info("Took %s from channel %s", update.model.release.title, channel)
    predictor = Predictor.from_card(update.model.data, update.model.card, threads=threads)
    return answer_files(update.model, predictor, files)


def answer_files(model: VerifiedModel, predictor: Predictor, files: Iterable[str]) -> Iterator[Prediction]:
    """Answers for files, one after the other, with a model that is loaded."""
    for file in files:
        answers = predictor.predict(load_input(file, model.card))
        index = int(answers.labels[0])
        yield Prediction(
            file=file,
            label=model.card.labels[index],
            confidence=float(np.clip(answers.probabilities[0, index], 0.0, 1.0)),
            model_id=model.card.model_id,
        )
