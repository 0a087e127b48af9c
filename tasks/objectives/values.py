"""Answers that are one number a row, in the unit of the source."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import OutputSpec
from lightning_modules.specs.samples import Sample
from storage.forms.base import RowsSpec
from tasks.objectives.base import AnswerParts, HeldOut, TaskObjective
from tasks.objectives.breakdown import break_by_slice, list_errors
from tasks.objectives.quantiles import describe_bands, measure_coverage
from tasks.objectives.sheets import AnswerSheet
from tasks.rendering.answers import Scatter

DOTS = 600


class Values(TaskObjective[Sample]):
    """Answers and truths (N,) are numbers."""

    name = "values"

    def find_scale(self, reference: AnswerSheet, sample: Sample) -> Any:
        """Return the standard deviation of the target over the training rows."""
        del reference
        return sample.scales[1][0]

    def standardise(self, sheet: AnswerSheet, sample: Sample) -> AnswerSheet:
        """Return answers in standard deviations of the training rows."""
        return sheet.divide(self.find_scale(sheet, sample))

    def describe_outputs(self, sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
        """Describe the number, and its quantiles."""
        del data
        return describe_bands(OutputSpec(name="values", meaning="values", unit=""), sample)

    def pick_parts(self, held_out: HeldOut[Sample]) -> AnswerParts:
        """Choose answers over truths, and the errors of parts of the rows."""
        sheet = held_out.sheet
        errors = list_errors(sheet, held_out.best_baseline)
        return AnswerParts(
            scatter=draw_scatter("Answers over truths", sheet.truth, sheet.values),
            breakdowns=tuple(break_by_slice(held_out, errors)),
            coverage=measure_coverage(sheet),
        )


def draw_scatter(title: str, truth: NDArray[Any], values: NDArray[Any]) -> Scatter:
    """Return at most `DOTS` of some answers (N,) over their truths (N,), evenly chosen."""
    kept = np.linspace(0, len(truth) - 1, min(DOTS, len(truth))).astype(np.int64)
    pairs: Sequence[tuple[float, float]] = [
        (float(truth[place]), float(values[place])) for place in kept
    ]
    return Scatter(title=title, points=tuple(pairs))
