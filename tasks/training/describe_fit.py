"""What a training came to, from what its process said: figures, and a curve of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.result import TrainResult
from storage.base.figures import Figure
from storage.records.curve import CurvePoint
from storage.records.receipts import FileRecord, StartRecord
from tasks.forms.streams import HELD_OUT, TRAIN, VALIDATION
from tasks.objectives.registry import find_objective
from tasks.runtime.model_outcomes import Trained
from tasks.training.job import WorkerResult


@dataclass(frozen=True)
class FitDescriber:
    """Puts units and directions to the numbers of one training.

    Attributes:
        directory: Of the training.
        sample: What a sample is.
        standard: Whether errors are in standard deviations of the training rows.
    """

    directory: Path
    sample: AnySample
    standard: bool

    def describe(self, result: WorkerResult, start: StartRecord | None) -> Trained:
        """Return what the training hands on.

        Args:
            result: What its process said.
            start: Weights that it started from.

        Raises:
            RuntimeError: The process said nothing of a fit.
        """
        fit, checkpoint = result.fit, result.checkpoint
        if fit is None:
            raise RuntimeError(f"training in {self.directory} must report its fit; got none")
        measured = fit.validation_figures | result.predictions[VALIDATION].figures
        sample = self.sample.model_copy(update={"threshold": fit.threshold})
        chosen = () if fit.threshold is None else (name_threshold(fit.threshold),)
        return Trained(
            directory=str(self.directory),
            checkpoint=FileRecord(sha256=checkpoint.sha256, size_bytes=checkpoint.size_bytes),
            start=start,
            sample=sample,
            standard=self.standard,
            parameters=fit.parameters,
            epochs=fit.epochs,
            best_epoch=fit.best_epoch,
            training_s=fit.seconds,
            precision=fit.precision,
            precision_kept=fit.precision_kept,
            threads=fit.threads,
            start_s=result.seconds["start"],
            validation_figures=(*self.list_figures(measured), *chosen),
            validation_predictions=result.predictions[VALIDATION],
            held_out_predictions=result.predictions[HELD_OUT],
            curve=self.list_points(fit),
        )

    def list_figures(self, measured: Mapping[str, float]) -> tuple[Figure, ...]:
        """Return validation figures, the one first that epochs are watched by."""
        watched = find_objective(self.sample).spec.watched.name
        names = sorted(measured, key=lambda name: name != watched)
        return tuple(self.make_figure(name, measured[name], VALIDATION) for name in names)

    def list_points(self, fit: TrainResult) -> tuple[CurvePoint, ...]:
        """Return one point an epoch, with all that was measured in it."""
        return tuple(self.make_point(record) for record in fit.history)

    def make_point(self, record: Mapping[str, Any]) -> CurvePoint:
        """Return the point of one epoch from its record, whose names begin with their split."""
        figures = [
            self.make_figure(name.removeprefix(f"{split}_"), value, split)
            for name, value in record.items()
            for split in (TRAIN, VALIDATION)
            if name.startswith(f"{split}_")
        ]
        cpu_s = Figure(name="cpu_s", value=record.get("cpu_s"), unit="s", direction="lower")
        return CurvePoint(epoch=record["epoch"], figures=(*figures, cpu_s))

    def make_figure(self, name: str, value: float | None, split: str) -> Figure:
        """Return a number that was measured as a figure."""
        return find_objective(self.sample).describe_figure(
            name, value, self.sample, split=split, standard=self.standard
        )


def name_threshold(value: float) -> Figure:
    """Return the probability from which on the positive class is answered, as a figure."""
    return Figure(name="threshold", value=value, direction="none", split=VALIDATION)
