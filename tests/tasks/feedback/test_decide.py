"""What follows from what came back, for every kind of evidence."""

from itertools import product
from typing import Any, get_args

import pytest

from tasks.feedback.decide import Facts, decide
from tasks.feedback.measure import Verdict as Figures
from tasks.feedback.watch import Verdict as Gates

LEAST = 100
GOOD = Facts(champion=True, rows=500, live="green", drift="green", figure="not asked")


def change(**found: Any) -> Facts:
    return Facts(**{**vars(GOOD), **found})


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        (GOOD, "nothing"),
        (change(rows=99), "nothing"),
        (change(rows=0, champion=False, live="not asked", drift="not asked"), "nothing"),
        (change(champion=False, live="not asked", drift="not asked"), "ask"),
        (change(live="red"), "ask"),
        (change(live="not computed"), "ask"),
        (change(live="red", figure="worse"), "ask"),
        (change(figure="worse"), "retrain"),
        (change(figure="worse", drift="red"), "retrain"),
        (change(figure="worse", drift="not computed"), "retrain"),
        (change(figure="worse", stopped="gate model: accuracy"), "ask"),
        (change(figure="not worse", drift="red"), "nothing"),
        (change(figure="not computed"), "ask"),
        (change(drift="red"), "ask"),
        (change(drift="not computed"), "ask"),
        (change(drift="not asked"), "ask"),
    ],
)
def test_the_table_of_decisions(facts: Facts, decision: str) -> None:
    assert decide(facts, LEAST).decision == decision


EVERY = [
    Facts(champion, rows, live, drift, figure, stopped)
    for champion, rows, live, drift, figure, stopped in product(
        (True, False),
        (0, LEAST - 1, LEAST),
        get_args(Gates),
        get_args(Gates),
        get_args(Figures),
        (None, "a gate"),
    )
]


def test_what_was_not_computed_is_never_taken_for_good() -> None:
    for facts in EVERY:
        verdict = decide(facts, LEAST)
        if facts.rows < LEAST:
            assert verdict.decision == "nothing", facts
            continue
        if facts.live != "green" or not facts.champion or facts.figure == "not computed":
            assert verdict.decision == "ask", facts
        if verdict.decision == "nothing":
            assert facts.figure == "not worse" or (
                facts.figure == "not asked" and facts.drift == "green"
            ), facts


def test_only_a_champion_that_is_certainly_worse_is_trained_again() -> None:
    for facts in EVERY:
        if decide(facts, LEAST).decision == "retrain":
            assert (facts.champion, facts.live, facts.figure) == (True, "green", "worse")
            assert facts.stopped is None
            assert facts.rows >= LEAST


def test_every_decision_says_why_and_nobody_rolls_back_yet() -> None:
    for facts in EVERY:
        verdict = decide(facts, LEAST)
        assert verdict.reason
        assert verdict.decision in ("nothing", "retrain", "ask")


def test_a_retraining_that_was_stopped_is_named() -> None:
    reason = decide(change(figure="worse", stopped="accuracy 0.8"), LEAST).reason
    assert "accuracy 0.8" in reason
