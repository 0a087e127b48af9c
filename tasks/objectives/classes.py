"""Answers that are classes: counted where they err, and shown as pictures, mistakes first."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import OutputSpec
from lightning_modules.specs.metrics import decide_classes
from lightning_modules.specs.samples import Sample
from storage.forms.base import RowsSpec
from tasks.objectives.base import AnswerParts, Counts, HeldOut, TaskObjective
from tasks.objectives.breakdown import break_classes, trace_precision
from tasks.objectives.sheets import AnswerSheet
from tasks.rendering.answers import Sample as SamplePart

WRONG_SHOWN, RIGHT_SHOWN = 18, 12


class Classes(TaskObjective[Sample]):
    """Answers (N, K) are probabilities of classes; truths (N,) are their numbers."""

    name = "classes"

    def measure_agreement(
        self, answers: AnswerSheet, reference: AnswerSheet, sample: Sample, tolerance: float
    ) -> float:
        """Return the share of rows that get the reference's class."""
        del tolerance
        given, wanted = (decide_classes(each.values, sample) for each in (answers, reference))
        return float((given == wanted).mean())

    def decide(self, sheet: AnswerSheet, sample: Sample) -> NDArray[np.int64] | None:
        """Return the classes that a chosen threshold gives; None without one."""
        return None if sample.threshold is None else decide_classes(sheet.values, sample)

    def describe_compared(self, sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
        """Describe label and probabilities: the label says from which one on a champion decides."""
        return self.describe_outputs(sample, data)

    def settle_baseline(self, sheet: AnswerSheet, name: str, sample: Sample) -> Sample:
        """Return the sample with the baseline's own threshold, if one was chosen for it."""
        chosen = sheet.thresholds.get(name)
        return sample if chosen is None else _cut_at(sample, float(chosen.item()))

    def settle_champion(self, sheet: AnswerSheet, sample: Sample) -> Sample:
        """Return the sample with the threshold that gives the labels that an artifact answered.

        Of two classes the least probability at which it answered with the positive one; above all
        of them where it never did.
        """
        if sheet.decided is None or sample.classes != 2:
            return sample
        scores = sheet.values[:, sample.positive]
        called = scores[sheet.decided == sample.positive]
        return _cut_at(sample, float(called.min()) if len(called) else 1.0 + float(scores.max()))

    def count_confusion(self, sheet: AnswerSheet, sample: Sample) -> Counts:
        """Count rows by truth and answer, (K, K)."""
        classes = sheet.values.shape[1]
        counts = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(counts, (sheet.truth, decide_classes(sheet.values, sample)), 1)
        return tuple(tuple(row) for row in counts.tolist())

    def describe_outputs(self, sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
        """Describe the label and the probabilities of all labels."""
        labels, shape = data.labels, (sample.classes,)
        return (
            OutputSpec(name="label", dtype="int64", meaning="label", labels=labels),
            OutputSpec(name="probabilities", shape=shape, meaning="probabilities", labels=labels),
        )

    def pick_parts(self, held_out: HeldOut[Sample]) -> AnswerParts:
        """Choose what shows where answers err: pictures, parts of the rows, and of two the curve.

        Of pictures these are the surest mistakes and the least sure right answers.
        """
        sheet, sample = held_out.sheet, held_out.sample
        curve = None
        if sample.classes == 2:
            positive = held_out.labels[sample.positive]
            called = decide_classes(sheet.values, sample) == sample.positive
            curve = trace_precision(sheet, sample, positive, called)
        return AnswerParts(
            samples=tuple(_picture(held_out)),
            breakdowns=tuple(break_classes(held_out)),
            precision_recall=curve,
        )


def _cut_at(sample: Sample, threshold: float) -> Sample:
    return sample.model_copy(update={"threshold": threshold})


def _picture(held_out: HeldOut[Sample]) -> Iterator[SamplePart]:
    sheet = held_out.sheet
    predicted = decide_classes(sheet.values, held_out.sample)
    chosen = _choose(sheet, predicted)
    pictures = held_out.draw([int(row_id) for row_id in sheet.row_id[chosen]])
    for place in chosen:
        row_id = int(sheet.row_id[place])
        if row_id in pictures:
            yield SamplePart(
                picture=pictures[row_id],
                truth=held_out.labels[int(sheet.truth[place])],
                predicted=held_out.labels[int(predicted[place])],
                confidence=float(sheet.values[place].max()),
                name=f"row {row_id:016x}",
            )


def _choose(sheet: AnswerSheet, predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return places of answers: the most confident mistakes, then the least sure right ones."""
    confidence, right = sheet.values.max(axis=1), predicted == sheet.truth
    wrong_places, right_places = np.flatnonzero(~right), np.flatnonzero(right)
    worst = wrong_places[np.argsort(-confidence[wrong_places])][:WRONG_SHOWN]
    least = right_places[np.argsort(confidence[right_places])][:RIGHT_SHOWN]
    return np.concatenate([worst, least]).astype(np.int64)
