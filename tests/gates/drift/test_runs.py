from dataclasses import replace

import numpy as np
import pytest

from gates.drift.clock import find_clock_shift
from gates.drift.divergence import measure_novelty
from gates.drift.parts import compare_part
from gates.drift.probe import bin_features, find_class_change
from gates.drift.runs import Runs, measure_stuck_rise
from gates.engine.report import MAX_REASONS, Check, shorten_reasons
from gates.specs.drift import DriftGate

NONE = Runs(rows=10_000, repeats=500, long_runs=0, stuck=0, longest=32)
SOME = Runs(rows=10_000, repeats=9_000, long_runs=40, stuck=900, longest=32)


def test_runs_that_chance_may_have_made_are_no_rise():
    assert measure_stuck_rise(SOME, replace(SOME, long_runs=48, stuck=1100), 0.001) == 0
    assert measure_stuck_rise(
        SOME, replace(SOME, long_runs=90, stuck=2100), 0.001
    ) == pytest.approx(0.12)
    assert measure_stuck_rise(NONE, replace(NONE, long_runs=1, stuck=200), 0.001) == pytest.approx(
        0.02
    )
    assert measure_stuck_rise(SOME, NONE, 0.001) == 0


def test_three_values_where_one_was_before_are_no_new_range():
    accepted, current = [3665, 1], [330, 3]
    assert measure_novelty(accepted, current, 0.001) == 0
    assert measure_novelty(accepted, [310, 23], 0.001) == pytest.approx(23 / 333, abs=1e-3)


def test_one_class_that_one_value_tells_is_seen_among_ten():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 10, 8000)
    cells = rng.random((8000, 5)) * 0.6
    marked = cells.copy()
    marked[label == 3, 4] = 0.95
    names, classes = [f"cell {place}" for place in range(5)], [str(place) for place in range(10)]
    before, other, after = (
        bin_features(each, label, 10) for each in (cells, rng.random((8000, 5)) * 0.6, marked)
    )
    change, about = find_class_change(before, after, names, classes)
    assert (change > 0.3, about) == (True, "cell 4, of 3 alone")
    assert find_class_change(before, other, names, classes)[0] == 0


def test_new_rows_are_held_against_blocks_of_the_accepted_version():
    rng = np.random.default_rng(0)
    edges = np.linspace(-10, 30, 201)
    walk = np.cumsum(rng.normal(0, 0.12, 12_000))
    walk = 20 * (walk - walk.min()) / np.ptp(walk)
    blocks = [np.histogram(part, edges)[0] for part in np.split(walk, 12)]

    def find(values):
        found = compare_part(
            DriftGate(), "level", blocks, np.histogram(values, edges)[0], list(edges)
        )
        return [each.about for each in found if each.value > each.limit]

    assert find(walk[3000:4000] + 0.5) == []
    stuck = walk[3000:4000].copy()
    stuck[:300] = 7.3
    assert "rise of one narrow range's share" in find(stuck)
    even = [np.histogram(rng.normal(10, 2, 1000), edges)[0] for _ in range(12)]
    moved = np.histogram(rng.normal(12, 2, 1000), edges)[0]
    judged = compare_part(DriftGate(), "level", even, moved, list(edges))
    assert any("Kolmogorov" in each.about and each.value > each.limit for each in judged)


def test_a_clock_that_cannot_be_read_is_not_green_but_said():
    nothing = np.zeros((6, 2, 24))
    nothing[:, 1] = 28.0
    shift = find_clock_shift(nothing, nothing, ["flow"])
    assert (shift.minutes, shift.why_not) == (0.0, "no column has a pattern of the day")
    nothing[:, 1, 5:] = 0
    assert "too few hours" in find_clock_shift(nothing, nothing, ["flow"]).why_not


def test_a_clock_is_read_where_rows_come_in_some_hours_only():
    def make(shift):
        hours = np.zeros((8, 2, 24))
        hours[:, 1, 6:20] = 28.0
        pattern = np.sin((np.arange(24) - 6 - shift) * np.pi / 7) + 0.4 * np.cos(
            np.arange(24) - shift
        )
        hours[:, 0] = pattern * hours[:, 1]
        return hours

    assert find_clock_shift(make(0), make(0), ["flow"]).minutes == 0
    assert find_clock_shift(make(0), make(2), ["flow"]).minutes == 120


def test_a_stop_tells_ten_reasons_and_each_subject_before_any_a_second_time():
    def check(subject, number):
        about = f"{subject} {number}"
        return Check(
            rule="r", about=about, observed=1, limit=0, passed=False, message=about, subject=subject
        )

    many = [check("torque", number) for number in range(12)] + [check("wear", 0)]
    told = shorten_reasons(many)
    assert len(told) == MAX_REASONS + 1
    assert "wear 0" in told
    assert told[-1] == "and 3 more of 2 subjects: the gate's page has them all"
    assert shorten_reasons(many[:3]) == ("torque 0", "torque 1", "torque 2")
