"""`lepton predict`: update from a channel, verify, answer for files. What a device runs; the platform is not needed."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from deployments.targets.follow.client import VerifiedModel, update_model
from deployments.targets.run.inputs import load_input
from deployments.targets.run.runtime import Answers, Predictor
from deployments.targets.trust.card import Card
from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store

logger = logging.getLogger(__name__)


class Prediction(BaseModel):
    """One answer.

    What a model does not answer is None, and left out of `to_json`.

    Attributes:
        file: The file, as it was given.
        row: Number of the sample in it, from 0, where a file holds several.
        label: The class's name.
        confidence: The model's probability of it, 0..1.
        score: How unlike what is normal a sample is.
        value: What a regression answers, in the source's unit.
        forecast: The next steps of each forecast column, in its unit.
        model_id: Which model answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    row: int | None = None
    label: str | None = None
    confidence: float | None = None
    score: float | None = None
    value: float | None = None
    forecast: dict[str, tuple[float, ...]] | None = None
    model_id: str

    def to_json(self) -> str:
        """One line of JSON."""
        return self.model_dump_json(exclude_none=True)

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file} row {self.row}"
        if self.forecast is not None:
            steps = "; ".join(
                f"{name}: {', '.join(f'{value:.6g}' for value in values)}"
                for name, values in self.forecast.items()
            )
            return f"{where}  {steps}"
        if self.value is not None:
            return f"{where}  {self.value:.6g}"
        if self.score is not None:
            return f"{where}  {self.label} (score {self.score:.4g})"
        return f"{where}  {self.label}  {self.confidence or 0.0:.1%}"


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
        files: PNG, JPEG or .npy files of one sample each, or CSV or .npy files of rows; paths or
            fsspec URLs.
        workspace: The workspace.
        keys: Pinned roots and trusted receipt keys; None: those of the config directory.
        cache: Where verified models are kept; None: the user's cache directory.
        threads: Threads of the runtime.

    Raises:
        ChannelRefused: The channel gives nothing that can be trusted, and no model was verified
            here before.
        BadArtifact: The verified bytes are not the model that their card describes.
        BadInput: While iterating: a file is not what the model takes.
    """
    update = update_model(channel, workspace, keys=keys, cache=cache)
    if update.status == "updated":
        logger.info("Took %s from channel %s", update.model.release.title, channel)
    predictor = Predictor.from_card(update.model.data, update.model.card, threads=threads)
    return answer_files(update.model, predictor, files)


def answer_files(
    model: VerifiedModel, predictor: Predictor, files: Iterable[str]
) -> Iterator[Prediction]:
    """Answers for files, one after the other, with a model that is loaded."""
    for file in files:
        answers = predictor.predict(load_input(file, model.card))
        several = len(answers.values) > 1
        for row in range(len(answers.values)):
            found = _describe_answer(model.card, answers, row)
            yield Prediction(
                file=file, row=row if several else None, model_id=model.card.model_id, **found
            )


def _describe_answer(card: Card, answers: Answers, row: int) -> dict[str, Any]:
    """What a model answers to one sample, as fields of a prediction."""
    values = answers.values[row]
    if card.output.kind == "values":
        if not card.output.columns:
            return {"value": float(values)}
        return {
            "forecast": {
                name: tuple(values[:, place].tolist())
                for place, name in enumerate(card.output.columns)
            }
        }
    label = card.labels[int(answers.classes[row])]
    if card.output.kind == "score":
        return {"label": label, "score": float(values)}
    return {
        "label": label,
        "confidence": float(np.clip(values[int(answers.classes[row])], 0.0, 1.0)),
    }
