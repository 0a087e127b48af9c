"""Answers that are scores: how far a sample is from what is normal."""

from deployments.targets.trust.card import NORMAL_OR_NOT, OutputSpec
from lightning_modules.specs.samples import Sample
from storage.forms.base import RowsSpec
from tasks.objectives.base import AnswerParts, HeldOut, TaskObjective
from tasks.objectives.breakdown import trace_precision


class Reconstruction(TaskObjective[Sample]):
    """Answers (N,) are scores; truths (N,) are labels, 0 for what is normal."""

    name = "reconstruction"

    def describe_outputs(self, sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
        """Describe the label, normal or not, and the score."""
        del sample
        labels = data.labels or NORMAL_OR_NOT
        return (
            OutputSpec(name="label", dtype="int64", meaning="label", labels=labels),
            OutputSpec(name="score", meaning="score"),
        )

    def pick_parts(self, held_out: HeldOut[Sample]) -> AnswerParts:
        """Choose how many anomalies are found at the price of how many false alarms."""
        labels, sample = held_out.labels or NORMAL_OR_NOT, held_out.sample
        curve = trace_precision(held_out.sheet, sample, labels[sample.positive], None)
        return AnswerParts(precision_recall=curve)
