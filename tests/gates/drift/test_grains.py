import numpy as np
import pytest

from gates.drift.grains import find_grain_change, write_grains

STEP = 0.067


def make_walk(rows, seed, factor=1.0, devices=3, whole=True):
    """Walks in whole steps of a sensor, or in none; the last device is written by a factor."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(-9, 10, (devices, rows)) if whole else draw.normal(0, 5, (devices, rows))
    values = 500 + np.cumsum(steps, axis=1) * STEP
    values[-1] *= factor
    entities, times = np.repeat(np.arange(devices), rows), np.tile(np.arange(rows), devices)
    return entities, times, values.reshape(-1, 1).round(3)


def write(walk):
    entities, times, values = walk
    return write_grains(entities, times // 24, times, values)


@pytest.mark.parametrize("factor", [2.0, 0.5, 12.0, 1.8, 1000.0])
def test_a_column_that_is_written_by_a_factor_is_found_at_once(factor):
    change = find_grain_change(write(make_walk(2000, 1)), write(make_walk(400, 2, factor)))
    assert change.entity == 2
    assert change.ratio == pytest.approx(max(factor, 1 / factor), rel=0.05)
    assert change.before == pytest.approx(STEP, abs=0.002)


def test_a_part_of_the_new_rows_is_enough_and_its_time_is_told():
    entities, times, values = make_walk(1200, 3)
    values[(entities == 1) & (times >= 480) & (times < 960)] *= 2
    change = find_grain_change(write(make_walk(2000, 1)), write((entities, times, values)))
    assert (change.entity, change.column) == (1, 0)
    assert change.ratio == pytest.approx(2, rel=0.05)
    assert 15 <= change.block < 40


@pytest.mark.parametrize("whole", [True, False])
def test_more_of_the_same_has_the_same_grain_or_none(whole):
    before = write(make_walk(2000, 1, whole=whole))
    for seed in range(20):
        assert find_grain_change(before, write(make_walk(300, 10 + seed, whole=whole))).ratio < 1.1


def test_another_level_and_season_are_no_other_grain_nor_is_one_value_between_two_steps():
    entities, times, values = make_walk(600, 4)
    values = values * 1.0 + 700
    values[77] += 0.01
    assert (
        find_grain_change(write(make_walk(2000, 1)), write((entities, times, values))).ratio < 1.1
    )


def test_grains_of_shards_are_those_of_all_rows():
    entities, times, values = make_walk(480, 5)
    halves = [
        write((entities[rows], times[rows], values[rows])) for rows in (times < 240, times >= 240)
    ]
    merged, whole = halves[0].merge(halves[1]), write((entities, times, values))
    np.testing.assert_array_equal(merged.keys, whole.keys)
    np.testing.assert_array_equal(merged.near, whole.near)
    np.testing.assert_array_equal(merged.least, whole.least)
