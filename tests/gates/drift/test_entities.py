import numpy as np
import pytest

from gates.drift import entities as module
from gates.drift.entities import find_changes, find_gone, write_book

DAYS, HOURS = 40, 24


def make_fleet(days=DAYS, start=0, devices=4):
    """Rows of devices, each with a level of its own and a day's pattern."""
    rng = np.random.default_rng(start)
    hours = np.arange(start * HOURS, (start + days) * HOURS)
    entities = np.tile(np.arange(devices), len(hours))
    times = np.repeat(hours, devices)
    daily = 3 * np.sin(times * np.pi / 12) + rng.normal(0, 1, len(times))
    return entities, times, (10 * (entities + 1) + daily)[:, np.newaxis]


def join(*fleets):
    return tuple(np.concatenate(parts) for parts in zip(*fleets, strict=True))


def write(fleet):
    entities, times, values = fleet
    return write_book(entities, times // HOURS, times, values)


def grow(spoil):
    """The accepted days, and ten more of which device 2 is spoiled."""
    entities, times, values = make_fleet(10, DAYS)
    return join(make_fleet(), spoil(entities, times, values.copy(), entities == 2))


def test_books_of_shards_add_up_to_the_book_of_all():
    fleet = make_fleet(4)
    entities, times, values = fleet
    first = times < 2 * HOURS
    halves = [write(tuple(part[rows] for part in fleet)) for rows in (first, ~first)]
    merged, whole = halves[0].merge(halves[1]), write((entities, times, values))
    assert (merged.keys == whole.keys).all()
    assert np.allclose(merged.sums, whole.sums)
    assert merged.rows.sum() == whole.rows.sum() == len(times)


def test_more_of_the_same_is_no_change():
    changes = find_changes(write(make_fleet()), write(grow(lambda e, t, v, chosen: (e, t, v))))
    assert changes["rows"].size <= 0
    assert changes["level"].size < 1.5
    assert changes["roughness"].size < 0.3
    assert not len(find_gone(write(make_fleet()), write(grow(lambda e, t, v, chosen: (e, t, v)))))


def _scale(entities, times, values, chosen):
    values[chosen] *= 2
    return entities, times, values


def _stand(entities, times, values, chosen):
    values[chosen] = 31.5
    return entities, times, values


def _thin(entities, times, values, chosen):
    kept = ~chosen | (times % 2 == 0)
    return entities[kept], times[kept], values[kept]


def _roughen(entities, times, values, chosen):
    values[chosen] += np.random.default_rng(3).normal(0, 9, (int(chosen.sum()), 1))
    return entities, times, values


@pytest.mark.parametrize(
    ("spoil", "figure", "least"),
    [
        (_scale, "level", 2.0),
        (_stand, "still", 0.5),
        (_thin, "rows", 0.4),
        (_roughen, "roughness", 0.5),
    ],
)
def test_what_happens_to_one_device_is_told_of_it(spoil, figure, least):
    change = find_changes(write(make_fleet()), write(grow(spoil)))[figure]
    assert change.size > least
    assert change.entity == 2


def test_only_devices_that_were_there_before_are_looked_at(monkeypatch):
    looked, judge = [], module._find_judged
    monkeypatch.setattr(module, "_find_judged", lambda *both: looked.append(1) or judge(*both))
    before, after = write(make_fleet()), write(make_fleet(10, DAYS, devices=300))
    alone = find_changes(before, write(make_fleet(10, DAYS, devices=4)))
    assert len(looked) == 4
    assert set(find_changes(before, after)) == set(alone)
    assert len(looked) == 8


def test_a_device_that_is_gone_is_named():
    def leave(entities, times, values, chosen):
        return entities[~chosen], times[~chosen], values[~chosen]

    assert find_gone(write(make_fleet()), write(grow(leave))).tolist() == [2]
    assert find_gone(write(make_fleet()), write(make_fleet(20))).tolist() == []
