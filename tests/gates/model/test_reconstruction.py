from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from gates.errors import SuiteError
from gates.model.facts import ModelFacts
from gates.model.reconstruction import judge_reconstruction
from gates.specs.model import ReconstructionGate
from storage.base.figures import Figure
from tests.gates.builders import find_failure, list_measures

GATE = ReconstructionGate()


def make_facts(shift=3.0, **changes):
    rng = np.random.default_rng(1)
    truth = rng.random(500) < 0.1
    known = {"distance": rng.normal(0, 1, 500) + truth, "forest": rng.normal(0, 1, 500)}
    facts = ModelFacts(
        measures=list_measures("reconstruction"),
        baselines=known,
        row_id=np.arange(500, dtype=np.uint64),
        truth=truth,
        answers=rng.normal(0, 1, 500) + shift * truth,
        rows_held_out=500,
    )
    facts = replace(facts, **changes)
    return replace(facts, figures=measure(facts.truth, facts.answers))


def measure(truth, scores):
    """The figures that those who train hand to the gate."""
    if not truth.any() or not np.isfinite(scores).all():
        return (Figure(name="average_precision", value=None), Figure(name="auroc", value=None))
    return (
        Figure(name="average_precision", value=average_precision_score(truth, scores)),
        Figure(name="auroc", value=roc_auc_score(truth, scores)),
    )


def test_scores_that_find_the_anomalies_pass_and_chance_stops():
    assert judge_reconstruction(GATE, make_facts()).passed
    report = judge_reconstruction(GATE, make_facts(shift=0))
    assert {"average precision", "area under the ROC curve"} <= {
        check.about for check in report.checks if not check.passed
    }
    lone = judge_reconstruction(GATE, make_facts(truth=np.arange(500) == 1))
    assert "anomalous rows" in " ".join(lone.reasons)
    assert not judge_reconstruction(GATE, make_facts(truth=np.zeros(500, dtype=bool))).passed
    assert not judge_reconstruction(GATE, make_facts(answers=np.full(500, np.nan))).passed


def test_figures_that_were_not_computed_are_never_green():
    for figures in ((), (Figure(name="average_precision", value=None), *make_facts().figures[1:])):
        report = judge_reconstruction(GATE, replace(make_facts(), figures=figures))
        assert "average precision" in " ".join(report.reasons)


def test_a_detector_below_a_baseline_or_hardly_above_it_stops():
    facts = make_facts(shift=2.0)
    noise = np.random.default_rng(5).normal(0, 0.3, 500)
    for known in (facts.answers + 0.3 * facts.truth, facts.answers, facts.answers + noise):
        report = judge_reconstruction(GATE, replace(facts, baselines={"distance": known}))
        failed = {check.about for check in report.checks if check.stops}
        assert "lower end of the skill's 95 % interval" in failed
    # The recipe may say by how much it may be worse.
    margin = ReconstructionGate(min_skill=-0.4)
    known = facts.answers + 0.05 * facts.truth
    assert judge_reconstruction(margin, replace(facts, baselines={"distance": known})).passed


def test_the_champion_is_compared_on_the_same_rows_and_what_chance_may_have_done_warns():
    facts = make_facts(shift=2.0)
    about = "average_precision gained over the champion"
    better = replace(facts, champion=make_facts(shift=4.0).answers)
    assert "limit >= -0.01" in find_failure(judge_reconstruction(GATE, better), about)
    noise = np.random.default_rng(5).normal(0, 0.3, 500)
    seed = facts.answers + noise + 0.05 * facts.truth  # another seed: better by 0.015, by chance
    loose = ReconstructionGate(max_loss_to_champion=0, max_unproven_loss_to_champion=0.1)
    report = judge_reconstruction(loose, replace(facts, champion=seed))
    assert report.passed, report.reasons
    assert any("chance may have done it" in warning for warning in report.warnings)
    tight = loose.model_copy(update={"max_unproven_loss_to_champion": 0.0})
    assert not judge_reconstruction(tight, replace(facts, champion=seed)).passed
    same = judge_reconstruction(GATE, replace(facts, champion=facts.answers))
    assert same.passed
    assert not same.warnings


def test_a_slice_that_is_ranked_worse_than_chance_stops_and_few_anomalies_are_said():
    facts = make_facts()
    pump = np.where(np.arange(500) < 150, "p1", "p2")
    scores = np.where(pump == "p1", -facts.answers - 5, facts.answers)
    report = judge_reconstruction(GATE, make_facts(answers=scores, slices={"pump": pump}))
    assert "slice pump p1" in find_failure(report, "worst slice's area under the ROC curve")
    few = np.where(np.arange(500) < 490, "p1", "p2")
    report = judge_reconstruction(GATE, make_facts(slices={"pump": few}))
    assert report.passed
    assert any("pump p2" in check.message for check in report.checks if not check.applicable)


def test_rows_left_out_and_torn_facts():
    assert "rows judged" in judge_reconstruction(GATE, make_facts(rows_held_out=501)).reasons[0]
    with pytest.raises(SuiteError, match="one entry a labelled row"):
        judge_reconstruction(GATE, replace(make_facts(), answers=np.zeros(499)))
