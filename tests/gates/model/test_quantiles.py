"""The model gate of quantiles: their shares, and their skill over calibrated baselines."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from gates.model.measure import Measure
from gates.model.quantile_facts import QuantileFacts
from gates.model.quantiles import COVERAGE
from gates.model.values import judge_values
from gates.specs.model import ValuesGate
from lightning_modules.specs.metrics import add_pinball, share_below
from tests.gates.builders import find_failure
from tests.gates.model.test_values import make_facts

LEVELS = (0.1, 0.5, 0.9)
Z = np.array([-1.2816, 0.0, 1.2816])


def with_quantiles(facts, spread):
    """Facts whose quantiles are those of a normal error of that spread."""
    axes = [1] * (facts.truth.ndim - 1)
    answers = facts.answers[:, None] + (Z * spread).reshape(1, -1, *axes)
    wide = {"mean": 4.0, "last value": 1.0}
    measure = Measure(
        name="pinball",
        compute=lambda found, truth: float(add_pinball(LEVELS, found, truth)[0].mean()),
        direction="lower",
        per_row=partial(add_pinball, LEVELS),
    )
    found = QuantileFacts(
        levels=LEVELS,
        answers=answers,
        shares=tuple(share_below(answers, facts.truth)),
        margins={name: (Z * size).reshape(-1, *axes) for name, size in wide.items()},
        measure=measure,
    )
    return replace(facts, quantiles=found)


@pytest.mark.parametrize("shape", [(400,), (200, 6, 2)])
def test_quantiles_as_wide_as_the_errors_pass(shape):
    report = judge_values(ValuesGate(), with_quantiles(make_facts(shape=shape), 0.3))
    assert report.passed, report.reasons
    assert any(check.about == COVERAGE for check in report.checks)


def test_quantiles_that_hold_too_few_stop():
    facts = with_quantiles(make_facts(), 0.1)
    message = find_failure(judge_values(ValuesGate(), facts), COVERAGE)
    assert "hold back more of those" in message
    assert message.endswith("limited by gates.model.max_coverage_gap")
    assert judge_values(ValuesGate(max_coverage_gap=0.5), facts).passed


def test_quantiles_that_hold_too_much_stop_too():
    facts = with_quantiles(make_facts(), 3.0)
    report = judge_values(ValuesGate(max_coverage_gap=0.05), facts)
    assert not report.passed
    assert "max_coverage_gap" in find_failure(report, COVERAGE)


def test_quantiles_no_nearer_than_a_baseline_with_its_own_stop():
    facts = with_quantiles(make_facts(), 0.3)
    about = "pinball skill over the best baseline, last value"
    same = facts.baselines["last value"]
    wide = replace(facts.quantiles, answers=same[:, None] + Z)
    worse = replace(facts, quantiles=wide)
    message = find_failure(judge_values(ValuesGate(), worse), about)
    assert "observed 0, limit > 0" in message
    assert message.endswith("limited by gates.model.min_skill")
    stated = judge_values(ValuesGate(min_pinball_skill=0.5), worse)
    assert find_failure(stated, about).endswith("limited by gates.model.min_pinball_skill")
    assert judge_values(ValuesGate(min_pinball_skill=-0.1), worse).passed


def test_answers_without_quantiles_are_not_asked_for_them():
    report = judge_values(ValuesGate(), make_facts())
    assert not any("pinball" in check.about or check.about == COVERAGE for check in report.checks)
