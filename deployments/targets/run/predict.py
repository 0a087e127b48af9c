"""`lepton predict`: update from a channel, verify, answer for files; all a device needs."""

import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from deployments.targets.errors import BadArtifact
from deployments.targets.follow.client import VerifiedModel, update_model
from deployments.targets.run.inputs import load_input
from deployments.targets.run.objectives import ANSWERS, Output, Teller
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.card import Card
from deployments.targets.trust.keys import KeyRing
from storage.base.registry import UnknownName
from storage.base.store import Store

logger = logging.getLogger(__name__)


class Prediction(BaseModel):
    """One answer.

    Attributes:
        file: The file, as it was given.
        row: Number of the sample in it, from 0, where a file holds several.
        objective: What the model was asked, as its card says.
        outputs: What it says of the sample.
        model_id: Which model answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    row: int | None = None
    objective: str
    outputs: tuple[Output, ...]
    model_id: str

    def find(self, name: str) -> JsonValue:
        """Return the value of an output; None where the model says nothing by that name."""
        return next((output.value for output in self.outputs if output.name == name), None)

    def to_json(self) -> str:
        """Return one line of JSON, in which each output is a key."""
        place = {} if self.row is None else {"row": self.row}
        said = {output.name: output.value for output in self.outputs}
        document = {"file": self.file, **place, **said, "model_id": self.model_id}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file} row {self.row}"
        return f"{where}  {ANSWERS.find(self.objective).say(self.outputs)}"


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
    """Answer for files, one after the other, with a model that is loaded.

    Raises:
        BadArtifact: How its objective's answers are told is not known here.
        BadInput: A file is not what the model takes.
    """
    card = model.card
    teller = _find_teller(card)
    for file in files:
        raw = load_input(file, card)
        answers = predictor.predict(raw)
        for row in range(len(raw)):
            yield Prediction(
                file=file,
                row=row if len(raw) > 1 else None,
                objective=card.objective,
                outputs=teller.list_outputs(answers, row),
                model_id=card.model_id,
            )


def _find_teller(card: Card) -> Teller:
    try:
        return ANSWERS.find(card.objective)
    except UnknownName as error:
        raise BadArtifact(f"model card must be of an objective known here: {error}") from error
