"""What training and evaluating hand on: a checkpoint, and how good it is."""

from typing import Literal

from pydantic import Field

from lightning_modules.specs.forms import AnySample
from storage.base.figures import Figure, find_value
from storage.records.curve import CurvePoint
from storage.records.models import CHECKPOINT
from storage.records.receipts import FileRecord, StartRecord
from tasks.rendering.answers import Confusion
from tasks.rendering.comparison import compare_baselines
from tasks.rendering.markdown import (
    render_comparison_markdown,
    render_confusion_markdown,
    render_training_markdown,
)
from tasks.rendering.text import show_figure
from tasks.runtime.outcome_base import FileReference, Outcome, References, Result
from tasks.runtime.predictions import Predictions


class Trained(Outcome):
    """A checkpoint: its place, its digest, and how it came about.

    Attributes:
        directory: Local folder that it lies in.
        checkpoint: Its digest.
        start: Weights that training started from.
        sample: What a sample is.
        standard: Whether errors are in standard deviations of the training rows.
        parameters: Trained numbers of the network.
        epochs: Epochs that were run.
        best_epoch: Epoch whose weights were kept, from 0.
        training_s: Wall time of the training, in seconds.
        precision: In which it was trained.
        precision_kept: Whether that is the precision in which a lost attempt had begun.
        threads: That each process computed in; None where that was not written down.
        start_s: Wait for the training process's imports, in seconds.
        validation_figures: Of the kept weights; the one that epochs are watched by comes first.
        validation_predictions: The answers to the validation rows.
        held_out_predictions: The answers to the held-out rows.
        curve: One point an epoch.
    """

    type: Literal["trained"] = "trained"
    directory: str
    checkpoint: FileRecord
    start: StartRecord | None = None
    sample: AnySample
    standard: bool = False
    parameters: int
    epochs: int
    best_epoch: int
    training_s: float
    precision: Literal["fp32", "bf16"] = "fp32"
    precision_kept: bool = False
    threads: int | None = None
    start_s: float
    validation_figures: tuple[Figure, ...]
    validation_predictions: Predictions
    held_out_predictions: Predictions
    curve: tuple[CurvePoint, ...]

    @property
    def facts(self) -> tuple[str, ...]:
        """The figure that was watched, the epochs, the precision, the threads, and the start."""
        kept = ", as it was begun on another machine" if self.precision_kept else ""
        watched = [f"{show_figure(figure)} validation" for figure in self.validation_figures[:1]]
        started = [_name_start(self.start)] if self.start is not None else []
        epochs = f"{self.epochs} epochs, best {self.best_epoch + 1}"
        return (*watched, epochs, f"{self.precision}{kept}", *self._name_threads(), *started)

    @property
    def references(self) -> References:
        """The checkpoint and the answers."""
        files = {CHECKPOINT: self.checkpoint.sha256}
        for written in (self.validation_predictions, self.held_out_predictions):
            files[written.file] = written.sha256
        return References(
            files=tuple(
                FileReference(path=path, sha256=sha256, folder=self.directory)
                for path, sha256 in files.items()
            )
        )

    def _name_threads(self) -> tuple[str, ...]:
        if self.threads is None:
            return ()
        return (f"{self.threads} thread{'s' if self.threads > 1 else ''}",)

    @property
    def numbered_curve(self) -> tuple[CurvePoint, ...]:
        """The curve as people read it: its epochs are counted from 1."""
        return tuple(point.model_copy(update={"epoch": point.epoch + 1}) for point in self.curve)

    def render_markdown(self, stage: str, folder: str) -> str:
        """Return the last epochs, and the one that was kept."""
        del stage, folder
        return render_training_markdown(self.numbered_curve, self.best_epoch + 1)


def _name_start(start: StartRecord) -> str:
    if start.model:
        return f"from model {start.model[:12]}"
    return f"from {start.url}, sha256 {start.sha256[:12]}"


class Champion(Result):
    """The promoted model of a channel on the rows that its challenger is judged on."""

    channel: str
    release: int
    model_id: str
    figures: tuple[Figure, ...]
    predictions_path: str
    predictions: FileRecord


class Evaluated(Outcome):
    """The float model on the held-out rows, and its baselines on the same rows.

    Attributes:
        model_id: Identity of the model.
        predictions_path: Where its answers lie in the workspace.
        predictions: Their digest.
        sample: What a sample is.
        labels: Names of the classes.
        standard: Whether errors are in standard deviations of the training rows, not in the
            source's units.
        headline: Name of the figure that artifacts and champions are held against.
        figures: The model's.
        baselines: The same figures of each baseline.
        confusion: `confusion[truth][predicted]` counts rows of classes; empty for values and
            scores.
        champions: What the promoted models answer.
    """

    type: Literal["evaluated"] = "evaluated"
    model_id: str
    predictions_path: str
    predictions: FileRecord
    sample: AnySample
    labels: tuple[str, ...] = ()
    standard: bool = False
    headline: str
    figures: tuple[Figure, ...]
    baselines: dict[str, tuple[Figure, ...]] = Field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    champions: tuple[Champion, ...]

    @property
    def score(self) -> Figure:
        """The headline figure; without a value where it is not defined."""
        missing = Figure(name=self.headline, value=None)
        return next((figure for figure in self.figures if figure.name == self.headline), missing)

    @property
    def facts(self) -> tuple[str, ...]:
        """The headline figure, of the model and of its baselines."""
        score = self.score
        values = {by: find_value(found, score.name) for by, found in self.baselines.items()}
        beside = [
            f"{show_figure(score.model_copy(update={'value': value}))} {by}"
            for by, value in values.items()
            if value is not None
        ]
        return (f"{show_figure(score)} held out", *beside)

    @property
    def references(self) -> References:
        """The answers of model and champions, and the champions themselves."""
        sheets = {self.predictions_path: self.predictions.sha256}
        sheets |= {
            champion.predictions_path: champion.predictions.sha256 for champion in self.champions
        }
        return References(
            files=tuple(FileReference(path=path, sha256=sha) for path, sha in sheets.items()),
            champions={champion.channel: champion.release for champion in self.champions},
        )

    def render_markdown(self, stage: str, folder: str) -> str:
        """Return the figures beside the baselines', and the confusion matrix."""
        del stage, folder
        parts = [render_comparison_markdown(compare_baselines(self.figures, self.baselines))]
        if self.confusion:
            confusion = Confusion(labels=self.labels, counts=self.confusion)
            parts.append(render_confusion_markdown(confusion))
        return "\n\n".join(part for part in parts if part)
