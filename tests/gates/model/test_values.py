from dataclasses import replace

import numpy as np
import pytest

from gates.errors import SuiteError
from gates.model.facts import ModelFacts
from gates.model.values import judge_values
from gates.specs.model import ValuesGate
from storage.base.figures import Figure
from tests.gates.builders import find_failure

GATE = ValuesGate()


def make_facts(noise=0.3, shape=(400,), **changes):
    rng = np.random.default_rng(3)
    truth = rng.normal(20, 4, shape)
    facts = ModelFacts(
        row_id=np.arange(shape[0], dtype=np.uint64),
        truth=truth,
        answers=truth + rng.normal(0, noise, shape),
        rows_held_out=shape[0],
        baselines={"mean": np.full(shape, 20.0), "last value": truth + rng.normal(0, 1.0, shape)},
        unit="degrees",
    )
    return measure(replace(facts, **changes))


def measure(facts):
    """The facts with the figures that those who train hand to the gate."""
    if facts.answers.shape != facts.truth.shape or not facts.rows:
        return facts
    errors = facts.answers - facts.truth
    found = {"mae": np.abs(errors).mean(), "rmse": np.sqrt(np.square(errors).mean())}
    figures = (
        Figure(name=name, value=float(value) if np.isfinite(value) else None)
        for name, value in found.items()
    )
    return replace(facts, figures=tuple(figures))


@pytest.mark.parametrize("shape", [(400,), (200, 24, 3)])
def test_good_answers_pass_and_the_best_baseline_is_named(shape):
    report = judge_values(GATE, make_facts(shape=shape))
    assert report.passed, report.reasons
    assert any("skill over the best baseline, last value" in check.about for check in report.checks)
    assert any("no model has been promoted yet" in check.message for check in report.checks)


def test_no_better_than_a_baseline_stops():
    facts = make_facts()
    same = judge_values(GATE, replace(facts, answers=facts.baselines["last value"]))
    assert find_failure(same, "skill over the best baseline, last value").endswith(
        "observed 0, limit > 0"
    )
    assert not judge_values(GATE, make_facts(noise=1.5)).passed


def test_errors_above_the_limit_stop_in_their_unit():
    report = judge_values(ValuesGate(max_mae=0.1, max_rmse=0.1), make_facts())
    assert find_failure(report, "held-out mean absolute error, degrees").endswith("limit [0, 0.1]")
    assert find_failure(report, "held-out root mean squared error, degrees").endswith(
        "limit [0, 0.1]"
    )


def test_a_skill_that_chance_may_have_made_warns_or_stops():
    facts = make_facts(noise=0.97, shape=(40,))
    warned = judge_values(ValuesGate(min_skill=-0.9), facts)
    assert any("lower end of the skill's 95 % interval" in warning for warning in warned.warnings)
    assert warned.passed
    assert not judge_values(ValuesGate(min_skill=-0.9, min_skill_lower_bound=0.0), facts).passed


def test_worse_than_the_champion_on_the_same_rows_stops_and_the_paired_test_warns():
    facts = make_facts()
    champion = facts.truth + (facts.answers - facts.truth) * 0.9
    report = judge_values(GATE, replace(facts, champion=champion))
    assert "limit <= 0.01" in find_failure(report, "error above the champion's")
    assert any("p-value that the champion is no better" in warning for warning in report.warnings)
    assert judge_values(GATE, replace(facts, champion=facts.truth + 1.0)).passed


def test_one_bad_slice_stops():
    facts = make_facts()
    site = np.repeat(["north", "south"], [380, 20])
    spoiled = np.where(site == "south", facts.truth + 3, facts.answers)
    report = judge_values(GATE, replace(facts, answers=spoiled, slices={"site": site}))
    assert "slice site south" in find_failure(report, "worst slice's skill")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_stops(value):
    facts = make_facts()
    predicted = facts.answers.copy()
    predicted[5] = value
    report = judge_values(GATE, replace(facts, answers=predicted))
    assert "answers not finite" in report.reasons[0]


def test_missing_rows_no_rows_and_torn_facts():
    assert "rows judged" in judge_values(GATE, make_facts(rows_held_out=401)).reasons[0]
    assert not judge_values(GATE, make_facts(shape=(0,))).passed
    with pytest.raises(SuiteError, match="baselines"):
        judge_values(GATE, make_facts(baselines={}))
    with pytest.raises(SuiteError, match="target's shape"):
        judge_values(GATE, make_facts(answers=np.zeros(3)))


def test_an_error_that_was_not_computed_is_never_green():
    facts = replace(make_facts(), figures=(Figure(name="mae", value=0.2),))
    assert "root mean squared error" in judge_values(GATE, facts).reasons[0]
