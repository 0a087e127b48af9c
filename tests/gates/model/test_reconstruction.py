from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from gates.errors import SuiteError
from gates.model.facts import ModelFacts
from gates.model.reconstruction import judge_reconstruction
from gates.specs.model import ReconstructionGate
from storage.base.figures import Figure
from tests.gates.builders import find_failure

GATE = ReconstructionGate()


def make_facts(shift=3.0, **changes):
    rng = np.random.default_rng(1)
    truth = rng.random(500) < 0.1
    facts = ModelFacts(
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


def test_the_champion_is_compared_by_its_figure_on_the_same_rows():
    facts, better = make_facts(shift=2.0), make_facts(shift=4.0)
    champion = {"champion": better.answers, "champion_figures": better.figures}
    report = judge_reconstruction(GATE, replace(facts, **champion))
    assert "limit >= -0.01" in find_failure(report, "average precision gained over the champion")
    unknown = judge_reconstruction(GATE, replace(facts, champion=better.answers))
    assert "average precision gained over the champion" in " ".join(unknown.reasons)


def test_rows_left_out_and_torn_facts():
    assert "rows judged" in judge_reconstruction(GATE, make_facts(rows_held_out=501)).reasons[0]
    with pytest.raises(SuiteError, match="one entry a labelled row"):
        judge_reconstruction(GATE, replace(make_facts(), answers=np.zeros(499)))
