from dataclasses import replace

import numpy as np
import pytest

from gates.artifact import judge_artifacts
from gates.errors import SuiteError
from gates.model.reconstruction import (
    AnomalyFacts,
    judge_anomaly,
    measure_auroc,
    measure_average_precision,
)
from gates.model.values import RegressionFacts, judge_regression
from gates.specs import AnomalyGate, ArtifactGate, RegressionGate
from tests.gates.builders import find_failure, make_artifact

GATE = RegressionGate()
ANOMALY = AnomalyGate()


def make_facts(noise=0.3, shape=(400,), **changes):
    rng = np.random.default_rng(3)
    target = rng.normal(20, 4, shape)
    facts = RegressionFacts(
        target=target,
        predicted=target + rng.normal(0, noise, shape),
        baselines={"mean": np.full(shape, 20.0), "last value": target + rng.normal(0, 1.0, shape)},
        unit="degrees",
    )
    return replace(facts, **changes)


@pytest.mark.parametrize("shape", [(400,), (200, 24, 3)])
def test_good_answers_pass_and_the_best_baseline_is_named(shape):
    report = judge_regression(GATE, make_facts(shape=shape))
    assert report.passed, report.reasons
    assert any("skill over the best baseline, last value" in check.about for check in report.checks)
    assert any("no model has been promoted yet" in check.message for check in report.checks)


def test_no_better_than_a_baseline_stops():
    facts = make_facts()
    same = judge_regression(GATE, replace(facts, predicted=facts.baselines["last value"]))
    assert find_failure(same, "skill over the best baseline, last value").endswith(
        "observed 0, limit > 0"
    )
    assert not judge_regression(GATE, make_facts(noise=1.5)).passed


def test_errors_above_the_limit_stop_in_their_unit():
    report = judge_regression(RegressionGate(max_mae=0.1, max_rmse=0.1), make_facts())
    assert find_failure(report, "held-out mean absolute error, degrees").endswith("limit [0, 0.1]")
    assert find_failure(report, "held-out root mean squared error, degrees").endswith(
        "limit [0, 0.1]"
    )


def test_a_skill_that_chance_may_have_made_warns_or_stops():
    facts = make_facts(noise=0.97, shape=(40,))
    warned = judge_regression(RegressionGate(min_skill=-0.9), facts)
    assert any("lower end of the skill's 95 % interval" in warning for warning in warned.warnings)
    assert warned.passed
    assert not judge_regression(
        RegressionGate(min_skill=-0.9, min_skill_lower_bound=0.0), facts
    ).passed


def test_worse_than_the_champion_on_the_same_rows_stops_and_the_paired_test_warns():
    facts = make_facts()
    champion = facts.target + (facts.predicted - facts.target) * 0.9
    report = judge_regression(GATE, replace(facts, champion=champion))
    assert "limit <= 0.01" in find_failure(report, "error above the champion's")
    assert any("p-value that the champion is no better" in warning for warning in report.warnings)
    assert judge_regression(GATE, replace(facts, champion=facts.target + 1.0)).passed


def test_one_bad_slice_stops():
    facts = make_facts()
    site = np.repeat(["north", "south"], [380, 20])
    spoiled = np.where(site == "south", facts.target + 3, facts.predicted)
    report = judge_regression(GATE, replace(facts, predicted=spoiled, slices={"site": site}))
    assert "slice site south" in find_failure(report, "worst slice's skill")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_stops(value):
    facts = make_facts()
    predicted = facts.predicted.copy()
    predicted[5] = value
    report = judge_regression(GATE, replace(facts, predicted=predicted))
    assert "answers not finite" in report.reasons[0]


def test_missing_rows_no_rows_and_torn_facts():
    assert "rows judged" in judge_regression(GATE, make_facts(rows_held_out=401)).reasons[0]
    assert not judge_regression(GATE, make_facts(shape=(0,))).passed
    with pytest.raises(SuiteError, match="baselines"):
        judge_regression(GATE, make_facts(baselines={}))
    with pytest.raises(SuiteError, match="target's shape"):
        judge_regression(GATE, make_facts(predicted=np.zeros(3)))


def make_scores(shift=3.0):
    rng = np.random.default_rng(1)
    label = rng.random(500) < 0.1
    return AnomalyFacts(label=label, score=rng.normal(0, 1, 500) + shift * label)


def test_scores_that_find_the_anomalies_pass_and_chance_stops():
    assert judge_anomaly(ANOMALY, make_scores()).passed
    report = judge_anomaly(ANOMALY, make_scores(shift=0))
    assert {"average precision", "area under the ROC curve"} <= {
        c.about for c in report.checks if not c.passed
    }
    lone = replace(make_scores(), label=np.arange(500) == 1)
    assert "anomalous rows" in " ".join(judge_anomaly(ANOMALY, lone).reasons)
    assert not judge_anomaly(
        ANOMALY, replace(make_scores(), label=np.zeros(500, dtype=bool))
    ).passed
    assert not judge_anomaly(ANOMALY, replace(make_scores(), score=np.full(500, np.nan))).passed


def test_anomaly_champion_on_the_same_rows():
    facts = make_scores(shift=2.0)
    report = judge_anomaly(ANOMALY, replace(facts, champion=make_scores(shift=4.0).score))
    assert "limit >= -0.01" in find_failure(report, "average precision gained over the champion")


def test_figures_agree_with_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    facts = make_scores(shift=1.0)
    rounded = np.round(facts.score, 1)  # with ties
    assert measure_average_precision(facts.label, rounded) == pytest.approx(
        average_precision_score(facts.label, rounded)
    )
    assert measure_auroc(facts.label, rounded) == pytest.approx(roc_auc_score(facts.label, rounded))


def test_an_artifact_that_predicts_numbers_is_judged_by_its_error():
    numbers = {"scored_by": "error", "accuracy": None, "accuracy_float": None, "error_float": 2.0}
    assert judge_artifacts(ArtifactGate(), [make_artifact(**numbers, error=2.02)]).passed
    report = judge_artifacts(ArtifactGate(), [make_artifact(**numbers, error=2.2)])
    assert find_failure(report, "int8.onnx error_increase").endswith("observed 0.1, limit <= 0.02")
    for error in (None, float("nan"), float("inf")):
        assert not judge_artifacts(ArtifactGate(), [make_artifact(**numbers, error=error)]).passed
