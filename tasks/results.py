"""What each stage hands on: small frozen refs with digests, never data."""

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from gates.report import GateReport
from storage.fitted import Fitted
from storage.receipts import ArtifactRecord, ChannelRecord, DatasetRecord, FileRecord, SourceRecord
from tasks.train_job import Predictions

STAGES = (
    "collect",
    "gate raw",
    "prepare",
    "gate prepared",
    "train",
    "evaluate",
    "gate model",
    "compress",
    "gate artifact",
    "promote",
)


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
    """One epoch of training. Losses in nats, accuracies in 0..1; None where not measured."""

    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


class Trained(Result):
    """A checkpoint: its place, its digest, and how it came about. `start_s`: the wait for the training process's imports."""

    directory: str
    checkpoint: FileRecord
    parameters: int
    epochs: int
    best_epoch: int
    training_s: float
    start_s: float
    validation_accuracy: float
    validation_predictions: Predictions
    held_out_predictions: Predictions
    curve: tuple[CurvePoint, ...]


class ChampionFigures(Result):
    """The promoted model of a channel on the rows that its challenger is judged on."""

    channel: str
    release: int
    model_id: str
    accuracy: float
    predictions_path: str
    predictions: FileRecord


class Evaluated(Result):
    """The float model on the held-out rows. Rates in 0..1; `confusion[truth][predicted]` counts rows."""

    model_id: str
    predictions_path: str
    predictions: FileRecord
    accuracy: float
    macro_f1: float
    majority_accuracy: float
    loss: float
    confusion: tuple[tuple[int, ...], ...]
    champions: tuple[ChampionFigures, ...]


class Compressed(Result):
    """The artifacts of a model and what each measured; which one each channel gets."""

    model_id: str
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
    """All that is known of a run: what its receipt and its page are made of."""

    run: str
    workspace: str
    recipe: dict[str, JsonValue]
    started_at: datetime
    stages: dict[str, StageRecord] = {}
    resumptions: tuple[Resumption, ...] = ()

    def with_stage(self, name: str, outcome: Any, duration_s: float) -> "RunRecord":
        """A copy that also knows this stage."""
        return self.model_copy(
            update={"stages": {**self.stages, name: StageRecord(outcome=outcome, duration_s=duration_s)}}
        )

    def find(self, kind: type[T]) -> T | None:
        """The outcome of that kind, or None if the run did not get there."""
        return next((stage.outcome for stage in self.stages.values() if isinstance(stage.outcome, kind)), None)

    @property
    def reports(self) -> tuple[GateReport, ...]:
        """The gates' reports so far, in order."""
        return tuple(stage.outcome for stage in self.stages.values() if isinstance(stage.outcome, GateReport))
