"""What the comparison of two versions is made of, each on data made to have or not to have the fault."""

import numpy as np
import pytest

from gates.divergence import Histogram, measure_far, measure_ratio, measure_spike
from gates.drift import Figure, judge_drift
from gates.predictors import LEADS, bin_column, measure_strength
from gates.probe import count_agreed, learn_probe, measure_loss, shrink_images, sum_rows
from gates.profile import find_clock_shift, find_largest_change, make_grid, measure_profile
from gates.specs import DriftGate
from gates.twins import hash_pictures

HOUR = 3600 * 10**9


def make_flow(seed=0, days=56, shift=0):
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    moved = hours + (shift if np.ndim(shift) else np.full(len(hours), shift))
    flow = 10 - 5 * np.cos((hours % 24 - 4) * np.pi / 12) + rng.normal(0, 1, len(hours))
    return {"flow": flow, "load": flow + rng.normal(0, 1, len(hours))}, moved * HOUR


def measure(columns, times=None):
    grids = {name: make_grid((-10, 2, 18, 30), 10.0, 4.0) for name in columns}
    return measure_profile(columns, grids, times, HOUR if times is not None else 0)


@pytest.mark.parametrize(
    ("shift", "minutes"), [(0, 0), (3, 180), (-5, 300), (np.repeat([0, 8], [672, 672]), 480)], ids=str
)
def test_a_clock_that_moved_is_found_and_one_that_did_not_is_not(shift, minutes):
    before = measure(*make_flow(0))
    after = measure(*make_flow(1, shift=shift))
    assert find_clock_shift(before.hours, after.hours, ["flow", "load"]).minutes == minutes


def test_without_a_pattern_of_the_day_no_clock_is_judged():
    columns, times = make_flow()
    noise = {name: np.random.default_rng(5).normal(10, 4, len(values)) for name, values in columns.items()}
    shift = find_clock_shift(measure(noise, times).hours, measure(noise, times + 3 * HOUR).hours, ["flow", "load"])
    assert (shift.minutes, shift.column) == (0, "")


def test_a_column_joined_to_the_wrong_rows_changes_its_correlation():
    columns, _ = make_flow()
    torn = {**columns, "load": np.roll(columns["load"], 997)}
    before, after = measure(columns).products, measure(torn).products
    change, pair = find_largest_change(before, after, list(columns))
    assert change > 0.35
    assert pair in ("flow with load", "load with flow")
    assert find_largest_change(before, measure(make_flow(3)[0]).products, list(columns))[0] < 0.1


def test_profiles_of_shards_add_up_to_that_of_all():
    columns, times = make_flow()
    halves = [
        measure({name: values[part] for name, values in columns.items()}, times[part])
        for part in (slice(672), slice(672, None))
    ]
    merged, whole = halves[0].merge(halves[1]), measure(columns, times)
    assert np.allclose(merged.products, whole.products)
    assert np.allclose(merged.hours.sum(axis=0), whole.hours.sum(axis=0))
    assert all((merged.counts[name] == whole.counts[name]).all() for name in columns)
    assert merged.phases == whole.phases


def test_spikes_far_values_and_vanished_categories():
    rng = np.random.default_rng(0)
    edges = tuple(np.linspace(-30, 30, 301).tolist())
    level = rng.normal(0, 1, 5000)
    stuck = np.where(np.arange(5000) < 400, 0.5, rng.normal(0, 1, 5000))
    counts = [np.histogram(values, edges)[0].tolist() for values in (level, rng.normal(0, 1, 5000), stuck)]
    assert measure_spike(counts[0], counts[1], 0.001) < 0.03 < measure_spike(counts[0], counts[2], 0.001)
    absurd = np.histogram(np.r_[level, [25.0] * 10], edges)[0].tolist()
    before = Histogram(edges=edges, counts=tuple(counts[0]))
    assert measure_far(before, Histogram(edges=edges, counts=tuple(absurd))) == pytest.approx(10 / 5010)
    assert measure_far(before, Histogram(edges=edges, counts=tuple(counts[1]))) == 0
    assert measure_ratio([500, 500], [700, 0], 0.001) > 100
    assert measure_ratio([500, 5], [700, 3], 0.001) == 1


def test_a_figure_beyond_its_limit_or_not_a_number_stops():
    known = {"label": {"a": 500, "b": 500}}
    assert judge_drift(DriftGate(), known, known, [Figure("rise", 0.1, most=0.2)]).passed
    for value in (0.3, float("nan")):
        report = judge_drift(DriftGate(), known, known, [Figure("rise", value, most=0.2)])
        assert any("rise" in reason for reason in report.reasons)


def test_a_column_that_leads_the_answer_is_found_at_its_lead():
    rng = np.random.default_rng(0)
    target = np.cumsum(rng.normal(0, 1, 4000))
    scaled = (target - target.mean()) / target.std()
    leak = np.roll(target, -6)
    limits = (float(target.min()), float(target.max()))
    assert measure_strength(bin_column(leak, scaled, limits, leads=LEADS)) > 0.9995
    noisy = leak + rng.normal(0, target.std() / 10, 4000)
    assert measure_strength(bin_column(noisy, scaled, limits, leads=LEADS)) < 0.9995
    label = (target > 0).astype(np.int64)
    assert measure_strength(bin_column(label * 2.0, label, (0, 2), classes=2)) == 1
    assert measure_strength(bin_column(rng.normal(0, 1, 4000), label, (-3, 3), classes=2)) < 0.7


def test_the_probe_sees_flipped_labels_and_no_chance():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 3000)
    images = rng.integers(0, 60, (3000, 1, 6, 6)).astype(np.uint8)
    images[np.arange(3000), 0, label, :] += 150
    features = shrink_images(images, (0, 255))
    weights = learn_probe([sum_rows(features[:1500], label[:1500], 3)])
    clean = count_agreed(weights, features[1500:], label[1500:])
    flipped = np.where(rng.random(3000) < 0.05, (label + 1) % 3, label)
    assert measure_loss(clean, count_agreed(weights, features[1500:], flipped[1500:]), 0.001) > 0.03
    assert measure_loss((95, 100), (90, 100), 0.001) == 0


def test_pictures_that_look_alike_have_one_hash_and_others_have_not():
    pictures = np.random.default_rng(0).integers(0, 250, (200, 1, 32, 32)).astype(np.uint8)
    brighter = (pictures[:40] + 3).astype(np.uint8)
    assert np.array_equal(hash_pictures(brighter), hash_pictures(pictures)[:40])
    other = np.random.default_rng(1).integers(0, 250, (40, 1, 32, 32)).astype(np.uint8)
    known = {tuple(pair) for pair in hash_pictures(pictures).tolist()}
    assert len(known) == 200
    assert not known & {tuple(pair) for pair in hash_pictures(other).tolist()}
