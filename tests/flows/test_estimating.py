"""What a run takes is estimated from the first rows and a step that is measured."""

import numpy as np
import pytest

from flows.checking import check_whole_recipe
from tasks.training.step_cost import StepCost, measure_cost

FAST = {"model.network": {"family": "mlp"}, "train.max_epochs": 10, "train.batch_size": 64}


def check(monkeypatch, cost, **overrides):
    monkeypatch.setattr("flows.estimating.measure_cost", lambda *parts: cost)
    return check_whole_recipe("digits", "unused", {**FAST, **overrides}, measure=True)


def test_the_time_is_that_of_the_steps_and_says_that_it_is_an_estimate(monkeypatch):
    found = check(monkeypatch, StepCost(0.5, 1_234, 300_000_000)).estimate
    assert "280 optimizer steps" in found["steps"]  # 1,797 rows, batches of 64, ten epochs
    assert "about 2 min 20 s" in found["time"]
    assert "estimate" in found["time"]
    assert found["memory"].startswith("about 300 MB")
    assert "1,234 parameters" in found["memory"]


def test_what_is_not_known_is_not_estimated(monkeypatch):
    assert "time" not in check(monkeypatch, None).estimate
    at_once = check(monkeypatch, StepCost(None, 10, 300_000_000)).estimate
    assert "not estimated" in at_once["time"]
    racing = check(monkeypatch, None, **{"model.network": {"family": "auto"}})
    assert "race" in racing.estimate["time"]
    unmeasured = check_whole_recipe("digits", "unused", FAST)
    assert set(unmeasured.estimate) == {"rows", "disk", "steps"}


@pytest.mark.slow
def test_a_step_is_measured_in_a_process_of_its_own(monkeypatch):
    measured = []

    def measure(*parts):
        measured.append(measure_cost(*parts))
        return measured[-1]

    monkeypatch.setattr("flows.estimating.measure_cost", measure)
    held = np.ones(100_000_000)  # 800 MB of the process that asks are none of the one that trains
    found = check_whole_recipe("digits", "unused", FAST, measure=True)
    (cost,) = measured
    assert cost is not None
    assert cost.step_s is not None
    assert 0 < cost.step_s < 5
    assert cost.parameters > 1_000
    assert cost.memory_bytes is not None
    assert cost.memory_bytes < held.nbytes
    assert "about" in found.estimate["time"]
