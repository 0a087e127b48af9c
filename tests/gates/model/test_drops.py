"""What a slice loses by other answers than the model's own."""

import numpy as np
import pytest

from gates.model.drops import find_worst_drop
from gates.model.facts import ModelFacts
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from tasks.objectives.registry import find_objective

ROWS = 60


def make_facts(truth: np.ndarray, answers: np.ndarray, sample, **changes) -> ModelFacts:
    measures = find_objective(sample).list_measures(sample)
    ids = np.arange(len(truth), dtype=np.uint64)
    return ModelFacts(ids, truth, answers, len(truth), measures=measures, **changes)


def test_the_class_or_value_that_loses_most_is_named_with_what_it_lost() -> None:
    truth = np.arange(ROWS) % 3
    places = np.where(np.arange(ROWS) % 2, "north", "south")
    sample = ImageSample(shape=(1, 2, 2), classes=3)
    labels = ("a", "b", "c")
    facts = make_facts(truth, np.eye(3)[truth], sample, labels=labels, slices={"place": places})
    worse = np.eye(3)[truth]
    wrong = np.flatnonzero(truth == 1)[:5]
    worse[wrong] = np.eye(3)[0]
    found = find_worst_drop(facts, worse, "accuracy", min_rows=20)
    assert found is not None
    assert (found.slice, found.lost) == ("class b", pytest.approx(5 / 20))
    # Slices of few rows prove nothing.
    assert find_worst_drop(facts, worse, "accuracy", min_rows=ROWS) is None


def test_of_errors_the_relative_increase_is_what_is_lost() -> None:
    truth, ids = np.zeros(ROWS), np.arange(ROWS)
    sample = RowSample(objective="values", numbers=(NumberColumn(name="a"),))
    own = np.where(ids % 2, 1.0, 2.0)
    slices = {"place": np.where(ids % 2, "north", "south")}
    facts = make_facts(truth, own, sample, slices=slices)
    found = find_worst_drop(facts, own + 0.5, "mae", min_rows=5)
    assert found is not None
    assert (found.slice, found.lost) == ("place north", pytest.approx(0.5))
    exact = make_facts(truth, truth, sample, slices=slices)
    assert find_worst_drop(exact, truth, "mae", min_rows=5).lost == 0.0
    assert find_worst_drop(exact, truth + 1, "mae", min_rows=5).lost == float("inf")
