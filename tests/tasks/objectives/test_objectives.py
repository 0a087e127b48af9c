"""What tasks do with the answers of an objective, and that one which only names itself gets by."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from lightning_modules.specs.figures import FigureSpec
from lightning_modules.specs.metrics import compute_mae
from lightning_modules.specs.objectives import OBJECTIVES as SPECS
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from storage.base.figures import find_value
from storage.forms.table import TableSpec
from tasks.objectives.base import HeldOut, TaskObjective
from tasks.objectives.registry import OBJECTIVES, find_objective
from tasks.objectives.sheets import AnswerSheet, pack_answers, unpack_answers

IDS = np.arange(4, dtype=np.uint64)
CLASSES = ImageSample(shape=(1, 2, 2), classes=2)
NUMBER = RowSample(
    form="table", objective="values", numbers=(NumberColumn(name="a"),), target_std=2.0
)
DATA = TableSpec.model_validate({"numbers": ["a"], "target": "b"})


class MarginSpec(ObjectiveSpec):
    """An objective of a plug-in, as networks know it."""

    name = "margin"
    headline = "distance"
    watched = FigureSpec("distance", compute_mae, "lower", 1)
    outputs: ClassVar[dict[str, str]] = {"margin": "float32"}

    def list_figures(self, classes: int) -> tuple[FigureSpec, ...]:
        return (self.watched,)

    def shape_output(self, sample: Any) -> int:
        return 1


class Margin(TaskObjective[Any]):
    """The same, as tasks know it: by its name."""

    name = "margin"


@pytest.fixture
def margin(monkeypatch: pytest.MonkeyPatch) -> RowSample:
    monkeypatch.setitem(SPECS._rows, "margin", MarginSpec())
    monkeypatch.setitem(OBJECTIVES._rows, "margin", Margin())
    return NUMBER.model_copy(update={"objective": "margin"})


def make_sheet(values: list[Any], truth: list[Any]) -> AnswerSheet:
    return AnswerSheet(IDS[: len(truth)], np.array(truth), np.array(values))


def test_classes_agree_where_they_are_the_same_and_are_counted_by_truth_and_answer() -> None:
    objective = find_objective(CLASSES)
    sheet = make_sheet([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], [0, 0, 1])
    other = make_sheet([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9]], [0, 0, 1])
    assert objective.count_confusion(sheet, CLASSES) == ((1, 1), (0, 1))
    assert objective.decide(sheet, CLASSES) is None
    sure = CLASSES.model_copy(update={"threshold": 0.7})
    assert objective.count_confusion(sheet, sure) == ((2, 0), (0, 1))
    assert objective.decide(sheet, sure) == pytest.approx([0, 0, 1])
    right = find_value(
        objective.measure(sheet.values, sheet.truth, sure, split="x", standard=False), "accuracy"
    )
    (accuracy,) = (each for each in objective.list_measures(sure) if each.name == "accuracy")
    assert accuracy.per_row is not None
    sums, counts = accuracy.per_row(sheet.values, sheet.truth)
    assert right == pytest.approx(sums.sum() / counts.sum()) == 1.0
    assert objective.measure_agreement(sheet, other, CLASSES, 0.05) == pytest.approx(2 / 3)
    assert objective.convert(sheet, CLASSES, standard=True) is sheet


def test_values_are_told_in_their_unit_or_in_deviations_of_the_training_rows() -> None:
    objective = find_objective(NUMBER)
    sheet = make_sheet([1.0, 4.0], [0.0, 0.0])
    raw = objective.measure(sheet.values, sheet.truth, NUMBER, split="held_out", standard=False)
    assert (raw[0].name, raw[0].value, raw[0].unit) == ("mae", 2.5, "")
    scaled = objective.convert(sheet, NUMBER, standard=True)
    found = objective.measure(scaled.values, scaled.truth, NUMBER, split="held_out", standard=True)
    assert {figure.name: (figure.value, figure.unit) for figure in found}["mae"] == (
        1.25,
        "standard deviations",
    )
    assert {figure.direction for figure in found} == {"lower"}
    assert {figure.split for figure in found} == {"held_out"}


def test_a_figure_that_is_not_defined_is_left_out() -> None:
    objective = find_objective(CLASSES)
    truth, values = np.array([0, 0]), np.array([[0.9, 0.1], [0.4, 0.6]])
    names = [
        figure.name
        for figure in objective.measure(values, truth, CLASSES, split="", standard=False)
    ]
    assert names == ["accuracy", "macro_f1"]


def test_an_objective_that_only_names_itself_is_measured_compared_and_described(
    margin: RowSample,
) -> None:
    objective = find_objective(margin)
    sheet, other = make_sheet([1.0, 4.0], [0.0, 0.0]), make_sheet([1.0, 9.0], [0.0, 0.0])
    figures = objective.measure(sheet.values, sheet.truth, margin, split="held_out", standard=False)
    assert [(figure.name, figure.value) for figure in figures] == [("distance", 2.5)]
    assert objective.headline == "distance"
    assert objective.measure_headline(sheet, margin) == 2.5
    assert objective.measure_agreement(sheet, other, margin, 0.05) == 0.5
    assert objective.convert(sheet, margin, standard=True) is sheet
    assert objective.count_confusion(sheet, NUMBER) == ()
    (output,) = objective.describe_outputs(margin, DATA)
    assert (output.name, output.dtype, output.shape) == ("margin", "float32", ())
    held_out: Any = HeldOut(sheet, margin, (), None, rows=Any, draw=lambda ids: {})
    assert objective.pick_parts(held_out).samples == ()


def test_equal_answers_are_equal_bytes_and_are_read_back() -> None:
    sheet = AnswerSheet(IDS, np.zeros(4), np.ones(4), {"mean": np.full(4, 0.5)})
    content = pack_answers(sheet)
    assert content == pack_answers(sheet)
    found = unpack_answers(content)
    np.testing.assert_array_equal(found.row_id, IDS)
    np.testing.assert_array_equal(found.baselines["mean"], sheet.baselines["mean"])


def test_a_champion_is_measured_by_the_labels_that_its_own_bytes_answered() -> None:
    objective = find_objective(CLASSES)
    sheet = make_sheet([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8]], [0, 1, 1, 1])
    strict = CLASSES.model_copy(update={"threshold": 0.7})
    lenient = replace(sheet, decided=np.array([0, 1, 1, 1]))
    for sample in (CLASSES, strict):
        own = objective.settle_champion(lenient, sample)
        assert objective.decide(lenient, own) == pytest.approx([0, 1, 1, 1])
        figures = objective.measure(
            lenient.values, lenient.truth, own, split="held_out", standard=False
        )
        assert find_value(figures, "accuracy") == 1
        assert find_value(figures, "recall") == 1
    never = replace(sheet, decided=np.zeros(4, np.int64))
    own = objective.settle_champion(never, strict)
    assert objective.decide(never, own) == pytest.approx([0, 0, 0, 0])
    unknown = objective.settle_champion(sheet, strict)
    assert unknown == strict


def test_a_baseline_is_measured_at_its_own_threshold_where_one_was_chosen() -> None:
    objective = find_objective(CLASSES)
    sample = CLASSES.model_copy(update={"threshold": 0.9})
    sheet = replace(
        make_sheet([[0.5, 0.5], [0.5, 0.5]], [0, 1]),
        baselines={"linear": np.array([[0.9, 0.1], [0.7, 0.3]])},
        thresholds={"linear": np.array([0.3], np.float32)},
    )
    again = unpack_answers(pack_answers(replace(sheet, decided=np.array([1, 0]))))
    assert again.thresholds["linear"] == np.float32(0.3)
    assert again.decided is not None
    assert again.decided.tolist() == [1, 0]
    assert unpack_answers(pack_answers(sheet)).decided is None
    own = objective.settle_baseline(again, "linear", sample)
    assert own.threshold == pytest.approx(0.3)
    assert objective.settle_baseline(again, "majority", sample) == sample
    accuracy = next(m for m in objective.list_measures(sample, own) if m.name == "accuracy")
    assert accuracy.compute(sheet.baselines["linear"].astype(np.float32), sheet.truth) == 1
