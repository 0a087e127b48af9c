import numpy as np
import pytest

from gates.drift.clocks import find_late_clock, write_days

HOURS = 24


def make_days(days, seed, late=(), devices=4, parts=6):
    """Hourly rows of devices with a day each of its own shape; some have it later."""
    draw = np.random.default_rng(seed)
    hours = np.arange(days * HOURS)
    entities, times = np.repeat(np.arange(devices), len(hours)), np.tile(hours, devices)
    shape = np.random.default_rng(5).normal(0, 1, (devices, 2, 3))
    moved = times - np.array([dict(late).get(device, 0) for device in range(devices)])[entities]
    waves = sum(
        shape[entities, 0, turn] * np.sin(2 * np.pi * (turn + 1) * moved / HOURS)
        + shape[entities, 1, turn] * np.cos(2 * np.pi * (turn + 1) * moved / HOURS)
        for turn in range(3)
    )
    values = np.stack([waves + draw.normal(0, 0.5, len(times)), draw.normal(size=len(times))], 1)
    place = times * parts // len(hours)
    return write_days(entities, place, times % HOURS, values, HOURS)


@pytest.mark.parametrize("hours", [2, 4, -3, 12])
def test_one_late_clock_is_found_with_its_device(hours):
    late = find_late_clock(make_days(60, 1), make_days(14, 2, {2: hours}.items(), parts=2))
    assert (late.entity, late.slots, late.column) == (2, abs(hours), 0)


def test_more_of_the_same_is_no_late_clock():
    for seed in range(20):
        assert find_late_clock(make_days(60, 1), make_days(14, 10 + seed, parts=2)).slots == 0


def test_a_day_that_moved_in_one_half_only_is_another_day_and_no_clock():
    first, second = make_days(7, 3, parts=1), make_days(7, 4, {1: 6}.items(), parts=1)
    second = type(second)(second.keys + np.array([0, 1]), second.sums, second.values)
    assert find_late_clock(make_days(60, 1), first.merge(second)).slots == 0


def test_without_a_pattern_of_the_day_it_is_said():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(1440, 1))
    hours = np.arange(1440)
    flat = write_days(np.zeros(1440, int), hours // 240, hours % HOURS, rows, HOURS)
    assert find_late_clock(flat, flat).why_not == (
        "no part of an entity shows the pattern of its day"
    )


def test_days_of_shards_add_up():
    whole = make_days(10, 1)
    both = make_days(10, 1, devices=4).merge(make_days(10, 1, devices=4))
    np.testing.assert_array_equal(both.keys, whole.keys)
    np.testing.assert_allclose(both.sums, 2 * whole.sums)
