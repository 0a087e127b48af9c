"""What each stage hands on: small frozen refs with digests, never data."""

from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from deployments.targets.trust.card import InputSpec, OutputSpec
from gates.engine.report import GateReport
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.objectives import OBJECTIVES
from storage.base.figures import Figure
from storage.pipeline.fitted import Fitted
from storage.records.receipts import (
    ArtifactRecord,
    ChannelRecord,
    DatasetRecord,
    FileRecord,
    SourceRecord,
    StartRecord,
)
from tasks.runtime.predictions import Predictions


class Result(BaseModel):
    """Base of what a stage hands on."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Collected(Result):
    """The raw rows: where they came from, and the version they lie in."""

    source: SourceRecord
    dataset: DatasetRecord


class Prepared(Result):
    """The chosen, split and shuffled rows, and the statistics fitted on the training split."""

    dataset: DatasetRecord
    fitted: Fitted


class CurvePoint(Result):
    """One epoch of training.

    Attributes:
        epoch: Its number, from 0.
        figures: What was measured on the "train" and the "validation" rows, and `cpu_s`: the
            processor time of the epoch and its validation, over all ranks, in seconds.
    """

    epoch: int
    figures: tuple[Figure, ...] = ()


class Trained(Result):
    """A checkpoint: its place, its digest, and how it came about. `start_s`: the wait for the training process's imports."""

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
    start_s: float
    validation_figures: dict[str, float]
    validation_predictions: Predictions
    held_out_predictions: Predictions
    curve: tuple[CurvePoint, ...]


class ChampionFigures(Result):
    """The promoted model of a channel on the rows that its challenger is judged on."""

    channel: str
    release: int
    model_id: str
    metrics: dict[str, float]
    predictions_path: str
    predictions: FileRecord


class Evaluated(Result):
    """The float model on the held-out rows, and simpler means on the same rows.

    Attributes:
        model_id: Identity of the model.
        predictions_path: Where its answers lie in the workspace.
        predictions: Their digest.
        sample: What a sample is.
        standard: Whether errors are in standard deviations of the training rows, not in the
            source's units.
        metrics: Figures by name: rates in 0..1, errors.
        baselines: The same figures of each baseline.
        confusion: `confusion[truth][predicted]` counts rows of classes; empty for values and
            scores.
        champions: What the promoted models answer.
    """

    model_id: str
    predictions_path: str
    predictions: FileRecord
    sample: AnySample
    standard: bool = False
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]] = {}
    confusion: tuple[tuple[int, ...], ...] = ()
    champions: tuple[ChampionFigures, ...]

    @property
    def headline(self) -> str:
        """Name of the figure that artifacts and champions are held against: a rate, or an error."""
        return name_headline(self.sample)


def name_headline(sample: AnySample) -> str:
    """The figure that a task is judged by first."""
    return OBJECTIVES.find(sample.objective).headline


class Compressed(Result):
    """The artifacts of a model and what each measured; which one each channel gets; what a device must know of them."""

    model_id: str
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    start_s: float
    files: dict[str, FileRecord]
    candidates: tuple[ArtifactRecord, ...]
    channels: dict[str, ChannelRecord]


class Promoted(Result):
    """The receipt that cleared the release, and the number each channel gave it."""

    receipt: str
    releases: dict[str, int]


Outcome = Collected | Prepared | Trained | Evaluated | Compressed | Promoted | GateReport
T = TypeVar("T")


class StageRecord(Result):
    """A stage that was begun: what it handed on (None if it failed before) and its wall time in seconds."""

    outcome: Outcome | None
    duration_s: float


class Resumption(Result):
    """A lost run that went on: when, which stages were kept, by which code they were made, why no more were."""

    at: datetime
    kept: tuple[str, ...]
    code: str
    reason: str | None = None


class RunRecord(Result):
    """All that is known of a run: what its receipt and its page are made of.

    Attributes:
        run: Id of the run.
        flow: Name of the flow that it is a run of.
        required_gates: Gates that the flow requires to be green before anything is published.
        workspace: Folder or URL that the run writes to.
        recipe: Name, digest and document of the recipe.
        started_at: When the run began, UTC.
        stages: Every stage that was begun, in order.
        resumptions: The times that the run went on after it was lost.
    """

    run: str
    flow: str
    required_gates: tuple[str, ...]
    workspace: str
    recipe: dict[str, JsonValue]
    started_at: datetime
    stages: dict[str, StageRecord] = {}
    resumptions: tuple[Resumption, ...] = ()

    def with_stage(self, name: str, outcome: Any, duration_s: float) -> "RunRecord":
        """A copy that also knows this stage."""
        return self.model_copy(
            update={
                "stages": {**self.stages, name: StageRecord(outcome=outcome, duration_s=duration_s)}
            }
        )

    def find(self, kind: type[T]) -> T | None:
        """The outcome of that kind, or None if the run did not get there."""
        return next(
            (stage.outcome for stage in self.stages.values() if isinstance(stage.outcome, kind)),
            None,
        )

    @property
    def reports(self) -> tuple[GateReport, ...]:
        """The gates' reports so far, in order."""
        return tuple(
            stage.outcome for stage in self.stages.values() if isinstance(stage.outcome, GateReport)
        )
