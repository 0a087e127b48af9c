"""What tasks do with the answers of one objective: they measure, compare and show them.

Everything here has a default, so that an objective of a plug-in that only names itself is trained,
judged, compressed and shown: by the figures of its row in `lightning_modules`, without pictures.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import OutputSpec
from gates.model.measure import Measure
from lightning_modules.specs.figures import FigureSpec
from lightning_modules.specs.measure import find_direction, measure_figures
from lightning_modules.specs.metrics import RowMetric
from lightning_modules.specs.objectives import OBJECTIVES as SPECS
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.samples import Sample
from storage.base.figures import Figure, find_value
from storage.forms.base import RowsSpec
from tasks.forms.streams import SampleRows
from tasks.objectives.sheets import AnswerSheet
from tasks.rendering.answers import (
    Breakdown,
    Coverage,
    Forecast,
    PrecisionRecall,
    Scatter,
    StepErrors,
)
from tasks.rendering.answers import Sample as SamplePart

S = TypeVar("S", bound=Sample)
Counts = tuple[tuple[int, ...], ...]
STANDARD_DEVIATIONS = "standard deviations"


@dataclass(frozen=True)
class HeldOut(Generic[S]):
    """The held-out answers, and what a page can draw them with.

    Attributes:
        sheet: The answers, in the source's own unit.
        sample: What a sample is.
        labels: Names of the classes.
        best_baseline: Name of the baseline with the best headline figure; None without one.
        rows: The rows as the network saw them.
        draw: Returns PNG pictures of rows by row id; of none where the form has no pictures.
        slices: What each answered row is a part of, (N,) texts, by the name of a column.
        moments: When the answered rows were, (N,) nanoseconds since 1970; of a window when the last
            row was that the model saw. None where rows have no time.
        step_ns: Usual time between two rows of a series, in nanoseconds; 0 where nobody knows.
        counted: Whether their time only counts steps, such as cycles, and has no date.
    """

    sheet: AnswerSheet
    sample: S
    labels: tuple[str, ...]
    best_baseline: str | None
    rows: SampleRows
    draw: Callable[[Iterable[int]], Mapping[int, bytes]]
    slices: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    moments: NDArray[np.int64] | None = None
    step_ns: int = 0
    counted: bool = False


@dataclass(frozen=True)
class AnswerParts:
    """What of the held-out answers is worth a place on the run's page."""

    forecasts: tuple[Forecast, ...] = ()
    scatter: Scatter | None = None
    samples: tuple[SamplePart, ...] = ()
    steps: StepErrors | None = None
    coverage: Coverage | None = None
    breakdowns: tuple[Breakdown, ...] = ()
    precision_recall: PrecisionRecall | None = None


class TaskObjective(Generic[S]):
    """One objective.

    Attributes:
        name: "classes", "values", "forecast", "reconstruction", or a plug-in's.
    """

    name: str

    @property
    def spec(self) -> ObjectiveSpec:
        """What networks know of it: its figures and which of them is the headline."""
        return SPECS.find(self.name)

    @property
    def headline(self) -> str:
        """Name of the figure that artifacts and champions are held against."""
        return self.spec.headline

    def measure(
        self, values: NDArray[Any], truth: NDArray[Any], sample: S, *, split: str, standard: bool
    ) -> tuple[Figure, ...]:
        """Measure answers to the rows of a split.

        Args:
            values: The answers, in standard deviations if `standard` says so.
            truth: The truths, likewise.
            sample: What a sample is.
            split: Name of the split.
            standard: Whether errors are in standard deviations of the training rows.

        Returns:
            Every figure of the objective that is defined for these rows.
        """
        unit = STANDARD_DEVIATIONS if standard else ""
        measured = measure_figures(values, truth, sample, split=split, unit=unit)
        return tuple(figure for figure in measured if figure.value is not None)

    def list_measures(self, sample: S, decided_by: S | None = None) -> tuple[Measure, ...]:
        """Return how each figure is measured, for the gate's comparisons row by row.

        Args:
            sample: What a sample of the model is.
            decided_by: The sample by which the answers are decided that are measured; None for the
                model's own.
        """
        by = sample if decided_by is None else decided_by
        return tuple(
            Measure(
                name=figure.name,
                compute=partial(_compute, figure, by),
                direction=figure.direction,
                per_row=None if figure.per_row is None else partial(_add, figure.per_row, by),
                root=figure.root,
            )
            for figure in self.spec.list_sample_figures(sample)
        )

    def describe_figure(
        self, name: str, value: float | None, sample: S, *, split: str, standard: bool
    ) -> Figure:
        """Return a number that was measured with its unit and direction.

        Args:
            name: A figure of the objective, the one that epochs are watched by, or "loss".
            value: The number; None or NaN where it is not defined.
            sample: What a sample is.
            split: The rows that it is of.
            standard: Whether errors are in standard deviations, not in the source's own unit.
        """
        specs = (self.spec.watched, *self.spec.list_sample_figures(sample))
        spec = next((figure for figure in specs if figure.name == name), None)
        unit = STANDARD_DEVIATIONS if standard else ""
        return Figure(
            name=name,
            value=None if value is None or np.isnan(value) else value,
            unit=spec.name_unit(unit) if spec is not None else "",
            direction=spec.direction if spec is not None else find_direction(name),
            split=split,
        )

    def measure_headline(self, sheet: AnswerSheet, sample: S) -> float:
        """Return the headline figure of the answers of a sheet; NaN where it is not defined."""
        figures = self.measure(sheet.values, sheet.truth, sample, split="", standard=False)
        found = find_value(figures, self.headline)
        return float("nan") if found is None else found

    def convert(self, sheet: AnswerSheet, sample: S, *, standard: bool) -> AnswerSheet:
        """Return answers in the unit that figures are in."""
        return self.standardise(sheet, sample) if standard else sheet

    def standardise(self, sheet: AnswerSheet, sample: S) -> AnswerSheet:
        """Return answers in standard deviations of the training rows, if they have a unit."""
        del sample
        return sheet

    def measure_agreement(
        self, answers: AnswerSheet, reference: AnswerSheet, sample: S, tolerance: float
    ) -> float:
        """Return the share of answers that are the reference's: here, numbers hardly apart.

        Args:
            answers: Answers in the source's units.
            reference: Those of the float model to the same rows.
            sample: What a sample is.
            tolerance: How far two numbers may be apart, in standard deviations.
        """
        scale = self.find_scale(reference, sample)
        return float((np.abs(answers.values - reference.values) <= tolerance * scale).mean())

    def find_scale(self, reference: AnswerSheet, sample: S) -> Any:
        """Return the standard deviation by which two numbers are told apart."""
        del sample
        return max(float(reference.values.std()), 1e-12)

    def describe_compared(self, sample: S, data: RowsSpec) -> tuple[OutputSpec, ...]:
        """Describe what two models are compared by: the last output, of which figures are.

        Quantiles before it may be of the one model and not of the other.
        """
        return self.describe_outputs(sample, data)[-1:]

    def settle_baseline(self, sheet: AnswerSheet, name: str, sample: S) -> S:
        """Return the sample by which a baseline's answers are decided, as the model's by its own.

        Args:
            sheet: The model's answers, and those of its baselines.
            name: Of the baseline.
            sample: By which the model's are.
        """
        del sheet, name
        return sample

    def settle_champion(self, sheet: AnswerSheet, sample: S) -> S:
        """Return the sample by which a champion's answers are decided, whatever the new model's."""
        del sheet
        return sample

    def decide(self, sheet: AnswerSheet, sample: S) -> NDArray[np.int64] | None:
        """Return the class (N,) of each answer, where it is not always the most probable one."""
        return None

    def count_confusion(self, sheet: AnswerSheet, sample: S) -> Counts:
        """Count rows by truth and answer, (K, K); empty where answers are no classes."""
        del sheet
        return ()

    def describe_outputs(self, sample: S, data: RowsSpec) -> tuple[OutputSpec, ...]:
        """Describe what an artifact answers, as a device's card tells it.

        Args:
            sample: What a sample is.
            data: The recipe's data section.
        """
        names = tuple(self.spec.list_outputs(sample).items())
        given = self.spec.shape_output(sample)
        shape = given if isinstance(given, tuple) else (given,) if given and given > 1 else ()
        return tuple(
            OutputSpec(
                name=name,
                dtype=dtype,
                shape=shape if (name, dtype) == names[-1] else (),
                meaning=name,
                unit="",
                labels=data.labels if name == "label" else (),
            )
            for name, dtype in names
        )

    def pick_parts(self, held_out: HeldOut[S]) -> AnswerParts:
        """Choose the answers that a page shows."""
        del held_out
        return AnswerParts()


def _add(
    per_row: RowMetric, sample: Sample, answers: NDArray[Any], truth: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    return per_row(answers, truth, sample)


def _compute(
    figure: FigureSpec, sample: Sample, answers: NDArray[Any], truth: NDArray[Any]
) -> float:
    return figure.compute(answers, truth, sample)
