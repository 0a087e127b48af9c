from dataclasses import replace

import numpy as np
import pytest

from gates.errors import SuiteError
from gates.model.facts import ModelFacts
from gates.model.values import judge_values
from gates.specs.model import ValuesGate
from storage.base.figures import Figure
from tests.gates.builders import find_failure, list_measures

GATE = ValuesGate()


def make_facts(noise=0.3, shape=(400,), **changes):
    rng = np.random.default_rng(3)
    truth = rng.normal(20, 4, shape)
    facts = ModelFacts(
        row_id=np.arange(shape[0], dtype=np.uint64),
        truth=truth,
        answers=truth + rng.normal(0, noise, shape),
        rows_held_out=shape[0],
        measures=list_measures("values"),
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
    facts = make_facts(shipping={"last value": "write LINES", "mean": "no family"})
    same = judge_values(GATE, replace(facts, answers=facts.baselines["last value"]))
    about = "skill over the best baseline, last value, by mae"
    assert find_failure(same, about).endswith(
        "observed 0, limit > 0; train better; of the baseline: write LINES; "
        "limited by gates.model.min_skill"
    )
    assert not judge_values(GATE, make_facts(noise=1.5)).passed


def test_errors_above_the_limit_stop_in_their_unit():
    report = judge_values(ValuesGate(max_mae=0.1, max_rmse=0.1), make_facts())
    assert find_failure(report, "held-out mean absolute error, degrees").endswith(
        "limit [0, 0.1]; limited by gates.model.max_mae"
    )
    assert find_failure(report, "held-out root mean squared error, degrees").endswith(
        "limit [0, 0.1]; limited by gates.model.max_rmse"
    )


def test_a_skill_that_chance_may_have_made_stops_unless_the_recipe_states_a_margin():
    facts = make_facts(noise=0.97, shape=(40,))
    report = judge_values(GATE, facts)
    message = find_failure(report, "lower end of the skill's 95 % interval")
    assert "over 40 blocks of rows: hold out more" in message
    assert judge_values(ValuesGate(min_skill=-0.9), facts).passed
    assert not judge_values(ValuesGate(min_skill=-0.9, min_skill_lower_bound=0.0), facts).passed


def test_windows_that_overlap_are_no_proof_each_of_its_own():
    draw = np.random.default_rng(11)
    # 40 days; on each the model is better or worse all day long, by chance alone.
    gap = np.repeat(draw.normal(0.02, 0.5, 40), 24)
    truth = draw.normal(0, 1, 960)
    base = 2.0 + np.abs(draw.normal(0, 0.1, 960))
    facts = make_facts(shape=(960,), truth=truth, answers=truth + base - gap)
    facts = measure(replace(facts, baselines={"linear": truth + base}))
    asserted = judge_values(GATE, replace(facts, blocks=np.arange(960) // 24))
    about = "lower end of the skill's 95 % interval"
    assert "over 40 blocks" in find_failure(asserted, about)


def test_a_better_mae_with_a_worse_mse_is_said():
    facts = make_facts(noise=1.0)
    few = np.arange(400) % 100 == 0
    spoiled = np.where(few, facts.truth + 15, facts.truth + 0.2)
    report = judge_values(GATE, measure(replace(facts, answers=spoiled)))
    assert report.passed, report.reasons
    assert any("figure mse and baseline last value" in warning for warning in report.warnings) or (
        any("figure rmse" in warning for warning in report.warnings)
    )
    by_square = judge_values(ValuesGate(skill_by="mse"), measure(replace(facts, answers=spoiled)))
    assert not by_square.passed


def test_worse_than_the_champion_on_the_same_rows_stops_and_the_paired_test_warns():
    facts = make_facts()
    champion = facts.truth + (facts.answers - facts.truth) * 0.9
    report = judge_values(GATE, replace(facts, champion=champion))
    assert "limit >= -0.01" in find_failure(report, "mae gained over the champion")
    assert any("p-value that the champion is no better" in warning for warning in report.warnings)
    assert judge_values(GATE, replace(facts, champion=facts.truth + 1.0)).passed


def test_one_bad_slice_stops():
    facts = make_facts()
    site = np.repeat(["north", "south"], [380, 20])
    spoiled = np.where(site == "south", facts.truth + 3, facts.answers)
    report = judge_values(GATE, replace(facts, answers=spoiled, slices={"site": site}))
    assert "slice site south" in find_failure(report, "worst slice's skill")


def test_columns_and_steps_of_a_forecast_that_are_worse_than_a_baseline_are_seen():
    facts = make_facts(shape=(200, 4, 10), columns=tuple(f"d{place}" for place in range(10)))
    answers = facts.answers.copy()
    answers[..., 3] = facts.truth[..., 3] + 1.1  # the baseline's mean error there is 0.8
    report = judge_values(GATE, replace(facts, answers=answers))
    assert report.passed, report.reasons
    (warning,) = report.warnings
    assert "slices that are surely worse" in warning
    assert "slice column d3" in warning
    answers[..., :3] = facts.truth[..., :3] + 1.1
    report = judge_values(GATE, replace(facts, answers=answers))
    about = "largest share of slices of a sort that are surely worse than their best baseline"
    assert "observed 0.4, limit <= 0.2" in find_failure(report, about)
    late = facts.answers.copy()
    late[:, 3] = facts.truth[:, 3] + 2
    report = judge_values(GATE, replace(facts, answers=late))
    assert "slice step 4" in find_failure(report, "worst slice's skill")


def test_a_slice_that_is_only_unlucky_is_not_called_worse():
    draw = np.random.default_rng(8)
    facts = make_facts(noise=0.9, shape=(2000,))
    entity = draw.integers(0, 40, 2000)
    report = judge_values(GATE, replace(facts, slices={"entity": entity}))
    assert not [check for check in report.checks if "surely worse" in check.about and check.stops]
    small = np.where(np.arange(2000) < 5, "new", "old")
    report = judge_values(GATE, replace(facts, slices={"phone": small}))
    assert any("phone new (5 rows)" in check.message for check in report.checks)


def test_values_without_a_truth_count_nowhere_and_windows_without_one_have_a_limit():
    facts = make_facts(shape=(100, 4, 2), columns=("a", "b"))
    holes = facts.truth.copy()
    holes[::3, 2:, 0] = np.nan
    report = judge_values(GATE, replace(facts, truth=holes, unanswered=5))
    assert report.passed, report.reasons
    report = judge_values(GATE, replace(facts, truth=holes, unanswered=20))
    about = "windows left out, as no step asked for has a value"
    assert "observed 0.1666666667, limit <= 0.1" in find_failure(report, about)
    holes[3] = np.nan
    report = judge_values(GATE, replace(facts, truth=holes))
    assert "row_id 3" in find_failure(report, "rows without a truth")
    report = judge_values(GATE, make_facts(shape=(19, 4, 2), columns=("a", "b")))
    assert "observed 19, limit >= 20" in find_failure(report, "rows or windows judged")


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
