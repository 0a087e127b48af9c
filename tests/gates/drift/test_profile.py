"""What the comparison of two versions is made of, each on data made to have or not to have the
fault.
"""

import numpy as np
import pytest

from gates.drift.clock import find_clock_shift
from gates.drift.divergence import (
    Histogram,
    measure_far,
    measure_novelty,
    measure_ratio,
    measure_spike,
)
from gates.drift.drift_gate import DriftFigure, judge_drift
from gates.drift.probe import (
    bin_features,
    count_agreed,
    expand_features,
    find_strength_change,
    learn_probe,
    measure_loss,
    shrink_images,
    sum_rows,
)
from gates.drift.profile import make_grid, measure_profile
from gates.drift.relations import find_largest_change
from gates.drift.time_steps import compare_gaps, measure_steps
from gates.prepared.near_duplicates import hash_pictures
from gates.raw.predictors import LEADS, bin_column, measure_strength
from gates.specs.drift import DriftGate

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
    ("shift", "minutes"),
    [(0, 0), (3, 180), (-5, 300), (np.repeat([0, 8], [672, 672]), 480)],
    ids=str,
)
def test_a_clock_that_moved_is_found_and_one_that_did_not_is_not(shift, minutes):
    before = measure(*make_flow(0))
    after = measure(*make_flow(1, shift=shift))
    assert find_clock_shift(before.hours, after.hours, ["flow", "load"]).minutes == minutes


def test_without_a_pattern_of_the_day_no_clock_is_judged():
    columns, times = make_flow()
    noise = {
        name: np.random.default_rng(5).normal(10, 4, len(values))
        for name, values in columns.items()
    }
    shift = find_clock_shift(
        measure(noise, times).hours, measure(noise, times + 3 * HOUR).hours, ["flow", "load"]
    )
    assert (shift.minutes, shift.column) == (0, "")


def test_a_column_joined_to_the_wrong_rows_changes_its_correlation():
    columns, _ = make_flow()
    torn = {**columns, "load": np.roll(columns["load"], 997)}
    before, after = measure(columns).products, measure(torn).products
    change, pair = find_largest_change(before, after, list(columns))
    assert change > 0.35
    assert pair in ("flow with load", "load with flow")
    assert find_largest_change(before, measure(make_flow(3)[0]).products, list(columns))[0] < 0.1


def test_a_column_that_is_late_is_told_where_columns_went_together_closely():
    columns, _ = make_flow()
    columns["load"] = columns["flow"] + np.random.default_rng(5).normal(
        0, 0.3, len(columns["flow"])
    )
    late = {**columns, "load": np.roll(columns["load"], 24)}
    before, after = measure(columns).products, measure(late).products
    assert find_largest_change(before, after, list(columns))[0] > DriftGate().max_relation_change
    other = {
        name: values + np.random.default_rng(6).normal(0, 0.02, len(values))
        for name, values in columns.items()
    }
    assert find_largest_change(before, measure(other).products, list(columns))[0] < 0.1


def test_a_column_that_stands_still_for_once_is_no_change_of_a_correlation():
    columns, _ = make_flow()
    still = {**columns, "load": np.full(len(columns["load"]), 10.0)}
    assert find_largest_change(
        measure(columns).products, measure(still).products, list(columns)
    ) == (0.0, "")


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
    counts = [
        np.histogram(values, edges)[0].tolist() for values in (level, rng.normal(0, 1, 5000), stuck)
    ]
    assert (
        measure_spike(counts[0], counts[1], 0.001)
        < 0.03
        < measure_spike(counts[0], counts[2], 0.001)
    )
    absurd = np.histogram(np.r_[level, [25.0] * 10], edges)[0].tolist()
    before = Histogram(edges=edges, counts=tuple(counts[0]))
    assert measure_far(before, Histogram(edges=edges, counts=tuple(absurd))) == pytest.approx(
        10 / 5010
    )
    assert measure_far(before, Histogram(edges=edges, counts=tuple(counts[1]))) == 0
    assert measure_ratio([500, 500], [700, 0], 0.001) > 100
    assert measure_ratio([500, 5], [700, 3], 0.001) == 1


def test_a_figure_beyond_its_limit_or_not_a_number_stops():
    known = {"label": {"a": 500, "b": 500}}
    assert judge_drift(DriftGate(), known, known, [DriftFigure("rise", 0.1, most=0.2)]).passed
    for value in (0.3, float("nan")):
        report = judge_drift(DriftGate(), known, known, [DriftFigure("rise", value, most=0.2)])
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
    features = expand_features(shrink_images(images, (0, 255)))
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


def test_the_probe_sees_what_no_line_tells_apart():
    rng = np.random.default_rng(0)
    place = rng.uniform(-1, 1, (4000, 2)).astype(np.float32)
    label = (place[:, 0] * place[:, 1] > 0).astype(np.int64)  # opposite quarters
    features = expand_features(place)
    weights = learn_probe([sum_rows(features[:2000], label[:2000], 2)])
    agreed, asked = count_agreed(weights, features[2000:], label[2000:])
    assert agreed > 0.9 * asked == 0.9 * 2000


def test_a_cell_that_gives_the_label_away_is_named_and_so_is_one_that_no_longer_does():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 2000)
    plain = rng.random((2000, 3))
    leaking = plain.copy()
    leaking[:, 1] = label / 4
    before, after = (bin_features(features, label, 4) for features in (plain, leaking))
    for old, new in ((before, after), (after, before)):
        change, name = find_strength_change(old, new, ["heat", "load", "wear"])
        assert name == "load"
        assert change > 0.6
    other = bin_features(rng.random((2000, 3)), rng.integers(0, 4, 2000), 4)
    assert (
        find_strength_change(before, other, ["heat", "load", "wear"])[0]
        < DriftGate().max_strength_change
    )


def test_a_rare_value_that_is_no_longer_rare_is_novel_and_a_common_one_that_grows_is_not():
    accepted = [0, 20, 500, 480]
    assert measure_novelty(accepted, accepted, 0.001) == 0
    assert measure_novelty(accepted, [20, 20, 490, 470], 0.001) == pytest.approx(0.02)
    assert measure_novelty(accepted, [0, 100, 450, 450], 0.001) == pytest.approx(0.08)
    assert measure_novelty(accepted, [0, 20, 800, 180], 0.001) == 0
    assert measure_novelty(accepted, [2, 20, 499, 479], 0.001) == 0


def walk(rows=1000, entities=1):
    return np.repeat(np.arange(entities), rows), np.tile(np.arange(rows), entities) * HOUR


def test_gaps_and_rows_that_go_back_are_counted_alike_in_one_shard_and_in_many():
    entities, times = walk(500, 2)
    kept = np.r_[0:200, 368:1000]
    entities, times = entities[kept], times[kept].copy()
    times[610] = times[609]
    whole = measure_steps(entities, times, HOUR)
    assert (whole.back, whole.missing_ns, whole.longest_ns) == (1, 169 * HOUR, 169 * HOUR)
    cuts = [
        measure_steps(entities[part], times[part], HOUR)
        for part in (slice(0, 200), slice(200, 205), slice(205, None))
    ]
    merged = measure_steps(entities[:0], times[:0], HOUR)
    for part in cuts:
        merged = merged.merge(part, HOUR)
    assert merged == whole
    clean = measure_steps(*walk(500, 2), HOUR)
    assert (clean.back, clean.missing_share, clean.longest_ns) == (0, 0, HOUR)
    assert whole.missing_share == pytest.approx(169 / 998)
    assert compare_gaps(clean, whole, HOUR) == pytest.approx(169 / 8)
    assert compare_gaps(whole, whole, HOUR) == 1
