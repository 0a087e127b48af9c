"""A champion that is no better stops its like as seldom as is said, however few rows there are."""

from dataclasses import replace

import numpy as np
import pytest

from gates.model.champion import MOST_UNPROVEN, compare_champion
from gates.model.facts import CHAMPION, ModelFacts
from gates.model.skill import compare_baselines
from gates.specs.model import ClassesGate
from tests.gates.builders import list_measures

PAIRS = 400
GATE = ClassesGate()


def answer(truth, right):
    """Probabilities of two classes that answer a row right or wrong."""
    answered = np.where(right, truth, 1 - truth)
    return np.eye(2)[answered] * 0.8 + 0.1


def compare(rows, accuracies, seed, gate=GATE):
    """Names of the checks that fail, each by its limit and severity."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, rows)
    own, champion = (answer(truth, draw.random(rows) < accuracy) for accuracy in accuracies)
    facts = ModelFacts(
        row_id=np.arange(rows, dtype=np.uint64),
        truth=truth,
        answers=own,
        rows_held_out=rows,
        measures=list_measures("classes", 2),
        champion=champion,
        labels=("no", "yes"),
    )
    part = compare_champion(gate, facts, "accuracy")
    gain = part.figures["champion_gain"]
    return {
        item.key.rsplit(".", 1)[1]
        for item in part.expectations
        if item.severity == "stop" and gain < item.kwargs.get("min_value", -np.inf)
    }


@pytest.mark.parametrize("rows", [50, 170, 540])
def test_a_model_that_is_as_good_is_seldom_stopped_for_what_is_unproven(rows):
    stopped = [
        "max_unproven_loss_to_champion" in compare(rows, (0.9, 0.9), seed) for seed in range(PAIRS)
    ]
    assert np.mean(stopped) <= 0.07  # one in twenty, and two standard errors


def test_a_model_that_is_clearly_worse_is_stopped_on_few_rows():
    stopped = [bool(compare(50, (0.6, 0.95), seed)) for seed in range(100)]
    assert np.mean(stopped) > 0.95


def test_with_many_rows_or_a_limit_of_the_recipe_s_own_that_one_holds():
    stated = ClassesGate(max_unproven_loss_to_champion=0.0)
    lost = [seed for seed in range(20) if compare(50, (0.85, 0.9), seed, stated)]
    assert len(lost) > len([seed for seed in range(20) if compare(50, (0.85, 0.9), seed)])
    assert pytest.approx(0.03) == MOST_UNPROVEN


def test_champion_and_baselines_are_decided_as_they_decide_themselves():
    """A rare class: the model calls it from 0.9 on, the others from 0.2 on, and all are right."""
    draw = np.random.default_rng(0)
    truth = (draw.random(400) < 0.2).astype(np.int64)

    def score(high, low):
        positive = np.where(truth == 1, high, low)
        return np.stack([1 - positive, positive], 1)

    facts = ModelFacts(
        row_id=np.arange(400, dtype=np.uint64),
        truth=truth,
        answers=score(0.95, 0.5),
        rows_held_out=400,
        measures=list_measures("classes", 2, 0.9),
        baselines={"linear": score(0.3, 0.1)},
        champion=score(0.3, 0.1),
        labels=("no", "yes"),
    )
    at_own = list_measures("classes", 2, 0.2)
    fair = replace(facts, rival_measures={CHAMPION: at_own, "linear": at_own})
    for given, gain, best in ((facts, 0.2, False), (fair, 0.0, True)):
        part = compare_champion(GATE, given, "accuracy")
        assert part.figures["champion_gain"] == pytest.approx(gain, abs=0.05)
        part = compare_baselines(GATE, given, "accuracy")
        assert (part.figures["skill"] <= 0) == best
        # By the figures beside it they are decided so, too.
        assert (part.tables["beside"].frame["skill"].max() <= 0) == best
