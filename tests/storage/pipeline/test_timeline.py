"""Series in order, held against all rows in memory; and what looking at them keeps in memory."""

import numpy as np
import pytest

from storage.pipeline.sorting import count_unsorted, inspect_series, plan_series
from storage.pipeline.timeline import Timeline
from storage.shards.entry import ShardEntry
from tests.peak import measure_peak

SEEDS = pytest.mark.parametrize("seed", range(6))
BUDGETS = pytest.mark.parametrize("most_bytes", [1 << 28, 4000])


def make_parts(seed, shards=7, rows=60):
    """Shards of rows (entity, time, split): sorted, interleaved or at random; some moments come
    several times.
    """
    rng = np.random.default_rng(seed)
    count = shards * rows
    entities, times = rng.integers(-3, 3, count), rng.integers(0, 400, count) * 10
    if seed % 3:
        order = np.lexsort((times, entities) if seed % 3 == 1 else (entities, times))
        entities, times = entities[order], times[order]
    splits = np.minimum(times // 1000, 3)
    return [
        tuple(array[at : at + rows] for array in (entities, times, splits))
        for at in range(0, count, rows)
    ]


def make_timeline(parts, groups=4, most_bytes=1 << 28):
    entries = [ShardEntry.model_construct(digest=str(number)) for number in range(len(parts))]
    return Timeline(entries, lambda entry: parts[int(entry.digest)], groups, most_bytes)


def join(parts):
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


@SEEDS
@BUDGETS
def test_stretches_are_all_rows_in_order(seed, most_bytes):
    parts = make_parts(seed)
    timeline = make_timeline(parts, most_bytes=most_bytes)
    stretches = list(timeline)
    assert (len(stretches) > 5) == (most_bytes < 1 << 20)
    entities, times, splits = join(parts)
    order = np.lexsort((times, entities))
    rows = [
        (entity, time)
        for stretch in stretches
        for entity, time, counts in zip(
            stretch.entities, stretch.times, stretch.counts, strict=True
        )
        for _ in range(counts.sum())
    ]
    assert rows == list(zip(entities[order], times[order], strict=True))
    assert (
        sum(stretch.counts.sum(axis=0) for stretch in stretches).tolist()
        == np.bincount(splits, minlength=4).tolist()
    )


def inspect_in_memory(entities, times):
    """What a report says, from all rows at once."""
    order = np.lexsort((times, entities))
    names, moments = entities[order], times[order]
    same, steps = names[1:] == names[:-1], np.diff(moments)
    values, counts = np.unique(steps[same & (steps > 0)], return_counts=True)
    step = int(values[counts.argmax()]) if len(values) else 0
    places = np.flatnonzero(same & (steps > step)) if step else []
    gaps = [(int(names[at]), int(moments[at]), int(moments[at + 1])) for at in places[:100]]
    unsorted = int(((entities[1:] == entities[:-1]) & (times[1:] < times[:-1])).sum())
    return (
        len(np.unique(entities)),
        step,
        len(places),
        gaps,
        int((same & (steps == 0)).sum()),
        unsorted,
    )


@SEEDS
@BUDGETS
def test_a_report_is_that_of_all_rows_in_memory(seed, most_bytes):
    parts = make_parts(seed)
    unsorted = count_unsorted((entities, times) for entities, times, _ in parts)
    report = inspect_series(make_timeline(parts, most_bytes=most_bytes), unsorted)
    gaps = [(gap.series_id, gap.after, gap.before) for gap in report.gaps]
    found = (
        report.entities,
        report.step_ns,
        report.gap_count,
        gaps,
        report.duplicate_count,
        report.unsorted_count,
    )
    assert found == inspect_in_memory(*join(parts)[:2])


def test_the_usual_step_of_times_at_random_is_found_in_parts():
    times = np.cumsum(np.random.default_rng(0).permutation(np.r_[1:400, 77]))
    parts = [
        (np.zeros(50, np.int64), times[at : at + 50], np.zeros(50, np.int64))
        for at in range(0, 400, 50)
    ]
    assert inspect_series(make_timeline(parts, 1, 8000), 0).step_ns == 77


def test_no_rows_have_no_order():
    empty = np.zeros(0, np.int64)
    report = inspect_series(
        make_timeline([(empty, empty, empty)]), count_unsorted([(empty, empty)])
    )
    assert (report.entities, report.step_ns, report.gap_count, report.duplicate_count) == (
        0,
        0,
        0,
        0,
    )


def plan_in_memory(entities, times, splits, buckets, whole):
    found = []
    for split, count in enumerate(buckets):
        here = splits == split
        order = np.lexsort((times[here], entities[here]))
        ids, moments = entities[here][order], times[here][order]
        places = sorted({len(ids) * run // count for run in range(1, count)} - {0, len(ids)})
        if whole:
            places = sorted({int(np.searchsorted(ids, ids[place])) for place in places} - {0})
        found.append(
            tuple(dict.fromkeys((int(ids[place]), int(moments[place])) for place in places))
        )
    return tuple(found)


@SEEDS
@BUDGETS
@pytest.mark.parametrize("whole", [False, True])
def test_runs_begin_where_they_do_with_all_rows_in_memory(seed, most_bytes, whole):
    parts = make_parts(seed)
    rows = np.bincount(join(parts)[2], minlength=4)[:3].tolist()
    buckets = (5, 1, 9)
    plan = plan_series(
        make_timeline(parts, most_bytes=most_bytes), rows, buckets, whole_entities=whole
    )
    assert plan.starts == plan_in_memory(*join(parts), buckets, whole)
    assert sum(map(len, plan.starts)) > 3


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "seed",
    [0, pytest.param(1, marks=SLOW), pytest.param(2, marks=SLOW)],
    ids=["at random", "by entity", "by time"],
)
def test_memory_is_that_of_a_shard_and_the_budget_whatever_the_number_of_rows(seed):
    budget, peaks = 1 << 19, []
    bound = budget + 2000 * 200
    for shards in (3, 24):

        def read(entry, total=shards * 2000):
            number = int(entry.digest)
            rows = np.arange(number * 2000, number * 2000 + 2000)
            at_random = np.random.default_rng(number).integers(0, 9, 2000)
            return (
                (at_random, rows * 9 // total, rows % 9)[seed],
                rows * 60,
                np.zeros(2000, np.int64),
            )

        entries = [ShardEntry.model_construct(digest=str(number)) for number in range(shards)]

        timeline = Timeline(entries, read, 1, budget)

        def work(timeline=timeline):
            assert inspect_series(timeline, 0).step_ns

        peaks.append(measure_peak(work))
    assert peaks[1] < 2 * peaks[0], peaks
    assert peaks[1] < bound, peaks
