import numpy as np

from gates.drift.copies import find_copies, print_days
from storage.shards.row_ids import mix_keys

DAYS, HOURS, DEVICES = 10, 24, 5


def make_fleet(seed=0):
    values = np.random.default_rng(seed).normal(0, 1, (DEVICES, DAYS * HOURS))
    entities = np.repeat(np.arange(DEVICES), DAYS * HOURS)
    return entities, np.tile(np.arange(DAYS * HOURS), DEVICES), values


def write(entities, times, values):
    measured = mix_keys(values.reshape(-1).view(np.uint64), "measured")
    prints = mix_keys(measured ^ times.view(np.uint64), "print")
    return print_days(entities, times // HOURS, prints, measured)


def test_days_under_another_name_are_counted_under_both():
    entities, times, values = make_fleet()
    assert find_copies(write(entities, times, values)).days == 0
    values[3, 2 * HOURS : 4 * HOURS] = values[1, 2 * HOURS : 4 * HOURS]
    values[0, 10] = values[1, 10]  # an hour alike is chance
    found = find_copies(write(entities, times, values))
    assert (found.days, found.judged, found.pair) == (4, DAYS * DEVICES, (1, 3, 2))
    assert found.share == 4 / 50


def test_devices_that_stand_still_together_are_no_copies():
    entities, times, values = make_fleet()
    values[:, HOURS : 2 * HOURS] = 0.0
    assert find_copies(write(entities, times, values)).days == 0


def test_shards_add_up_wherever_a_day_is_cut():
    entities, times, values = make_fleet()
    values[2, :HOURS] = values[4, :HOURS]
    flat = values.reshape(-1)
    early = times < 7
    parts = [write(entities[rows], times[rows], flat[rows]) for rows in (early, ~early)]
    assert find_copies(parts[0].merge(parts[1])) == find_copies(write(entities, times, values))
