from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from gates.errors import SuiteError
from gates.model.classes import judge_classes
from gates.specs.model import ClassesGate
from storage.base.figures import Figure
from tests.gates.builders import (
    LABELS,
    find_failure,
    make_model_facts,
    make_probabilities,
    measure_classes,
)

GATE = ClassesGate()
GAIN = "accuracy gained over the champion"
RECALL = "worst class's accuracy, its recall"


def test_a_good_first_model_passes_and_says_that_there_was_no_champion():
    report = judge_classes(GATE, make_model_facts())
    assert report.passed, report.reasons
    assert [check.message for check in report.checks if not check.applicable] == [
        "expect_column_min_to_be_between on worst slice's accuracy: not applicable, no column of "
        "slices is given",
        f"expect_column_min_to_be_between on {GAIN}: not applicable, no model has been promoted "
        "yet",
    ]


def test_shuffled_labels_stop():
    label = np.random.default_rng(0).permutation(np.arange(300) % 10)
    report = judge_classes(GATE, make_model_facts(truth=label))
    assert "limit >= 0.9" in find_failure(report, "held-out accuracy")


def test_accuracy_below_the_floor_stops():
    report = judge_classes(ClassesGate(min_accuracy=0.97), make_model_facts())
    assert find_failure(report, "held-out accuracy") == (
        "expect_column_mean_to_be_between on held-out accuracy: observed 0.9666666667, limit >= "
        "0.97; limited by gates.model.min_accuracy"
    )


def test_the_accuracy_s_interval_and_calibration_are_judged():
    report = judge_classes(ClassesGate(min_accuracy_lower_bound=0.95), make_model_facts())
    message = find_failure(report, "lower end of the accuracy's 95 % interval")
    assert message.endswith(
        "observed 0.9433333333, limit >= 0.95; limited by gates.model.min_accuracy_lower_bound"
    )
    probabilities = make_probabilities()
    probabilities[probabilities == 0.91] = 0.55
    probabilities[probabilities == 0.01] = 0.05
    report = judge_classes(GATE, make_model_facts(answers=probabilities))
    assert find_failure(report, "expected calibration error").endswith(
        "observed 0.4166666667, limit [0, 0.2]; limited by gates.model.max_calibration_error"
    )


def test_the_worst_slice_is_named():
    label = np.arange(300) % 10
    predicted = np.where((label == 4) & (np.arange(300) < 200), 5, label)
    probabilities = np.full((300, 10), 0.01)
    probabilities[np.arange(300), predicted] = 0.91
    report = judge_classes(GATE, make_model_facts(answers=probabilities))
    assert find_failure(report, RECALL) == (
        f"expect_column_min_to_be_between on {RECALL}: observed 0.3333333333, limit "
        ">= 0.5; slice class 4; limited by gates.model.min_slice_accuracy"
    )


def test_a_slice_of_a_metadata_column_is_named():
    site = np.where(np.arange(300) < 30, "attic", "cellar")
    facts = make_model_facts(wrong=25, slices={"site": site})
    report = judge_classes(ClassesGate(max_calibration_error=1), facts)
    assert find_failure(report, "worst slice's accuracy").endswith(
        "limit >= 0.5; slice site attic; limited by gates.model.min_slice_accuracy"
    )


def test_slices_too_small_to_judge_are_said_to_be():
    site = np.where(np.arange(300) < 7, "attic", "cellar")
    report = judge_classes(ClassesGate(min_slice_rows=31), make_model_facts(slices={"site": site}))
    assert report.passed
    (warning,) = report.warnings
    assert warning.startswith(
        "expect_column_max_to_be_between on classes whose recall is not judged: observed 10"
    )
    assert "class 0 (30 rows)" in warning
    skipped = [check.message for check in report.checks if not check.applicable]
    assert any("fewer than 31 rows: site attic (7 rows)" in message for message in skipped)
    assert any("not applicable, no slice has 31 rows" in message for message in skipped)


def test_a_classifier_below_a_baseline_or_hardly_above_it_stops_unless_a_margin_is_stated():
    for wrong, passes in ((9, False), (10, False), (12, False), (40, True)):
        facts = make_model_facts(wrong=10, baselines={"linear": make_probabilities(wrong)})
        report = judge_classes(GATE, facts)
        assert report.passed == passes, (wrong, report.reasons)
        if not passes:
            find_failure(report, "lower end of the skill's 95 % interval")
    facts = make_model_facts(wrong=10, baselines={"linear": make_probabilities(9)})
    assert judge_classes(ClassesGate(min_skill=-0.5), facts).passed
    with pytest.raises(SuiteError, match="baselines"):
        judge_classes(GATE, make_model_facts(baselines={}))


def test_a_model_that_is_surer_than_it_is_right_stops_at_nine_of_ten_right():
    draw = np.random.default_rng(6)
    right, truth = draw.random(1000) < 0.9, draw.integers(0, 10, 1000)
    answer = np.where(right, truth, (truth + 1) % 10)
    rows = {"row_id": np.arange(1000), "truth": truth, "rows_held_out": 1000}

    def answer_with(confidence):
        probabilities = np.full((1000, 10), (1 - confidence) / 9)
        probabilities[np.arange(1000), answer] = confidence
        return make_model_facts(answers=probabilities, **rows)

    gate = ClassesGate(min_accuracy=0.85)
    about = "share of the log loss that being less sure would save, lower end of its 95 % interval"
    for sure in (0.9999, 0.99):
        report = judge_classes(gate, answer_with(sure))
        assert "more label smoothing" in find_failure(report, about)
    for honest in (0.9, 0.95, 0.8):
        report = judge_classes(gate, answer_with(honest))
        assert report.passed, report.reasons


def test_a_champion_is_not_beaten_by_three_rows_of_another_seed():
    count = 539
    truth = np.arange(count) % 10
    rows = {"row_id": np.arange(count), "truth": truth, "rows_held_out": count}

    def answer(wrong):
        probabilities = np.full((count, 10), 0.01)
        answered = np.where(np.isin(np.arange(count), wrong), (truth + 1) % 10, truth)
        probabilities[np.arange(count), answered] = 0.91
        return probabilities

    # 11 rows wrong instead of 8, of which five are the same.
    facts = make_model_facts(
        answers=answer(range(0, 110, 10)), champion=answer([*range(0, 50, 10), 7, 107, 207]), **rows
    )
    report = judge_classes(GATE, facts)
    assert report.passed, report.reasons
    assert any("chance may have done it" in warning for warning in report.warnings)
    worse = make_model_facts(
        answers=answer(range(0, 300, 15)), champion=answer([*range(0, 60, 15)]), **rows
    )
    assert "limit >= -0.005" in find_failure(judge_classes(GATE, worse), GAIN)


def test_a_model_that_answers_the_commonest_class_stops():
    label = np.where(np.arange(300) < 285, 3, 5)
    always = np.full((300, 10), 0.01)
    always[:, 3] = 0.91
    report = judge_classes(GATE, make_model_facts(truth=label, answers=always))
    said = find_failure(report, "held-out accuracy above the majority class's 0.95 by 0.1")
    assert (
        "observed 0.95, limit >= 1.05; no model reaches that: lower min_gain_over_majority" in said
    )


def test_worse_than_the_champion_stops_and_within_the_margin_passes():
    report = judge_classes(GATE, make_model_facts(wrong=20, champion_wrong=5))
    assert f"{GAIN}: observed -0.05, limit >= -0.005" in find_failure(report, GAIN)
    assert judge_classes(GATE, make_model_facts(champion_wrong=9)).passed
    assert judge_classes(GATE, make_model_facts(champion_wrong=20)).passed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.5, -0.2])
def test_improper_probabilities_name_the_row(value):
    probabilities = make_probabilities()
    probabilities[42, 0] = value
    report = judge_classes(GATE, make_model_facts(answers=probabilities))
    assert not report.passed
    assert any(
        "probability_sum" in reason and "row_id 42" in reason for reason in report.reasons
    ), report.reasons


def test_negative_probabilities_that_sum_to_one_stop():
    probabilities = make_probabilities()
    probabilities[42, :2] = [-0.1, 0.12]
    report = judge_classes(GATE, make_model_facts(answers=probabilities))
    assert find_failure(report, "probability_min").endswith(
        "such as [-0.1], limit [0, 1]; row_id 42"
    )


def test_rows_left_out_or_judged_twice_stop():
    report = judge_classes(GATE, replace(make_model_facts(), rows_held_out=301))
    assert find_failure(report, "rows judged").endswith("observed 300, limit value 301")
    row_id = np.arange(300)
    row_id[1] = 0
    assert "row_id 0 and 1 more" in find_failure(
        judge_classes(GATE, make_model_facts(row_id=row_id)), "row_id"
    )


def test_no_predictions_stop():
    empty = make_model_facts(
        row_id=np.zeros(0), truth=np.zeros(0), answers=np.zeros((0, 10)), rows_held_out=0
    )
    report = judge_classes(GATE, empty)
    assert not report.passed
    assert not any(check.passed for check in report.checks if check.applicable)
    assert "table predictions is empty" in report.reasons[0]


def test_predictions_of_different_lengths_are_refused():
    with pytest.raises(SuiteError, match=r"must be \(N, K\)"):
        judge_classes(GATE, make_model_facts(truth=np.zeros(299)))


RARE = np.r_[np.zeros(285, dtype=int), np.ones(15, dtype=int)]
TWO = ("normal", "failure")


def make_rare(answers, average_precision):
    facts = make_model_facts(truth=RARE, answers=answers, labels=TWO)
    return replace(facts, figures=measure_classes(facts, average_precision))


def test_a_rare_class_that_is_never_found_stops_by_its_average_precision():
    rare = make_rare(np.tile([0.9, 0.1], (300, 1)), 0.05)
    limits = ClassesGate(
        min_accuracy=0.9, min_gain_over_majority=0, min_slice_accuracy=0, min_average_precision=0.6
    )
    report = judge_classes(limits, rare)
    message = find_failure(report, "average precision of the positive class")
    assert "observed 0.05, limit >= 0.6" in message
    blind = judge_classes(limits.model_copy(update={"min_average_precision": None}), rare)
    assert "observed 0, limit > 0" in find_failure(
        blind, "skill over the best baseline, majority, by accuracy"
    )


def test_the_average_precision_is_the_figure_that_was_handed_in_by_its_own_name():
    limits = ClassesGate(min_average_precision=0.6)
    for name, labels, about in (
        ("average_precision", TWO, "average precision of the positive class"),
        ("macro_average_precision", LABELS, "mean average precision of the classes"),
    ):
        facts = make_model_facts(
            labels=labels, truth=RARE if labels == TWO else np.arange(300) % 10
        )
        figures = tuple(item for item in facts.figures if item.name == "accuracy")
        other = "macro_average_precision" if labels == TWO else "average_precision"
        for wrong in ((), (Figure(name=name, value=None),), (Figure(name=other, value=0.9),)):
            report = judge_classes(limits, replace(facts, figures=(*figures, *wrong)))
            failed = [check.about for check in report.checks if not check.passed]
            assert failed.count(about) == 2  # it is not there, and not above the limit
        right = Figure(name=name, value=0.7)
        report = judge_classes(limits, replace(facts, figures=(*figures, right)))
        judged = [check for check in report.checks if check.about == about]
        assert [check.passed for check in judged] == [True, True]
        assert judged[1].observed == 0.7


def test_an_accuracy_that_was_not_computed_is_never_green():
    facts = replace(make_model_facts(), figures=(Figure(name="macro_f1", value=1.0),))
    report = judge_classes(GATE, facts)
    assert "held-out accuracy" in {check.about for check in report.checks if check.stops}


def test_gain_that_no_model_can_reach_says_so_and_can_be_left_to_the_average_precision():
    rare = make_rare(np.where(RARE[:, np.newaxis] == [0, 1], 0.9, 0.1), 1.0)
    report = judge_classes(ClassesGate(), rare)
    assert not report.passed
    assert "no model reaches that" in report.reasons[0]
    assert judge_classes(
        ClassesGate(min_gain_over_majority=None, min_average_precision=0.6), rare
    ).passed
    for blind in (None, 0):
        with pytest.raises(ValidationError, match="nothing that tells the model from a constant"):
            ClassesGate(min_gain_over_majority=None, min_average_precision=blind)


def test_recall_by_a_threshold_is_judged_and_one_that_was_not_measured_does_not_pass():
    gate = ClassesGate(min_recall=0.9)
    facts = make_model_facts()
    found = (*facts.figures, Figure(name="recall", value=0.85, split="held_out"))
    report = judge_classes(gate, replace(facts, figures=found))
    assert "observed 0.85, limit >= 0.9" in find_failure(report, "recall of the positive class")
    better = (*facts.figures, Figure(name="recall", value=0.95, split="held_out"))
    assert judge_classes(gate, replace(facts, figures=better)).passed
    assert not judge_classes(gate, facts).passed


def test_what_a_threshold_answers_is_right_or_wrong_not_what_is_likeliest():
    facts = make_model_facts()
    turned = np.where(facts.truth == 0, 1, facts.answers.argmax(1))
    report = judge_classes(GATE, replace(facts, predicted=turned))
    assert "observed 0" in find_failure(report, RECALL)
