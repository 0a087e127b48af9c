"""Statistics: right for any data, and equal however the rows are cut into shards."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from storage.base.store import canonical_json
from storage.shards.histogram import Histogram
from storage.shards.statistics import (
    FieldStatistics,
    compute_statistics,
    count_values,
    merge_statistics,
)

NUMBERS = st.sampled_from(
    ["bool", "int8", "uint8", "int16", "uint32", "int64", "uint64", "float16", "float32", "float64"]
)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9)
VALUES = NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES))


def is_finite(values):
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values.reshape(-1)


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_figures_are_those_of_numpy(values):
    statistics = compute_statistics(values)
    finite = is_finite(values)
    assert statistics.count == values.size
    if values.dtype.kind == "f":
        assert (statistics.nan, statistics.inf) == (np.isnan(values).sum(), np.isinf(values).sum())
    if not finite.size:
        assert (statistics.min, statistics.mean, statistics.std) == (None, None, None)
        return
    assert (statistics.min, statistics.max) == (finite.min(), finite.max())
    exact = [int(value) if values.dtype.kind != "f" else float(value) for value in finite.tolist()]
    biggest = max(abs(value) for value in exact) or 1
    assert statistics.mean / biggest == pytest.approx(
        sum(value / biggest for value in exact) / len(exact), abs=1e-9
    )
    assert sum(statistics.histogram.counts) == finite.size
    assert statistics.finite == finite.size


@settings(deadline=None, max_examples=100)
@given(arrays.arrays("float64", SHAPES, elements=st.floats(-1e6, 1e6)))
def test_deviation(values):
    expected = values.std() if values.size else None
    assert compute_statistics(values).std == (
        expected if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-6)
    )


@settings(deadline=None, max_examples=150)
@given(VALUES.filter(lambda values: len(values) > 1), st.data())
def test_statistics_of_parts_add_up(values, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    whole = compute_statistics(values)
    merged = merge_statistics(compute_statistics(part) for part in np.split(values, cuts))
    for name in ("count", "null", "nan", "inf", "min", "max", "distinct"):
        assert getattr(merged, name) == getattr(whole, name), name
    if not whole.count:
        return
    assert merged.histogram == whole.histogram
    if whole.mean is not None:
        scale = max(abs(whole.min), abs(whole.max), 1)
        assert merged.mean / scale == pytest.approx(whole.mean / scale, abs=1e-9)
        if scale < 1e100:
            assert merged.std / scale == pytest.approx(whole.std / scale, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(VALUES)
def test_statistics_survive_json(values):
    statistics = compute_statistics(values)
    assert (
        FieldStatistics.model_validate_json(canonical_json(statistics.model_dump(mode="json")))
        == statistics
    )


def test_many_values_go_block_by_block():
    values = np.random.default_rng(0).normal(3, 2, 1_000_003).astype(np.float32)
    statistics = compute_statistics(values)
    assert statistics.mean == pytest.approx(values.astype(np.float64).mean(), rel=1e-9)
    assert statistics.std == pytest.approx(values.astype(np.float64).std(), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e4, 1e30])
def test_quantiles_are_within_their_bound(scale):
    values = (
        np.random.default_rng(1).lognormal(0, 2, 50_000)
        * scale
        * np.random.default_rng(2).choice([-1, 1], 50_000)
    )
    histogram = compute_statistics(values).histogram
    for q in (0.01, 0.1, 0.5, 0.9, 0.99):
        exact = np.quantile(values, q, method="inverted_cdf")
        assert histogram.find_quantile(q) == pytest.approx(exact, rel=1 / 32)


def test_small_whole_numbers_have_exact_quantiles():
    values = np.arange(-60, 61)
    histogram = compute_statistics(values).histogram
    assert [histogram.find_quantile(q) for q in (0, 0.5, 1)] == [-60, 0, 60]
    assert math.isnan(Histogram().find_quantile(0.5))


def test_edges_hold_their_values():
    values = np.array([-1e39, -70000.5, -3, -0.0, 0, 1e-44, 0.1, 5, 300, 1e300])
    histogram = compute_statistics(values).histogram
    assert list(histogram.keys) == [
        compute_statistics(values[i : i + 1]).histogram.keys[0] for i in (0, 1, 2, 3, 6, 7, 8, 9)
    ]
    low, high = zip(*histogram.edges, strict=True)
    assert list(low) == sorted(low)
    assert all(left < right for left, right in histogram.edges)
    assert low[1] <= -70000.5 <= high[1]


def test_missing_values_are_left_out():
    values = np.array([[1, 99], [2, 99], [3, 4]], np.int32)
    by_element = compute_statistics(values, np.array([[True, False], [True, False], [True, True]]))
    assert (by_element.count, by_element.null, by_element.max, by_element.mean) == (6, 2, 4, 2.5)
    by_row = compute_statistics(values, np.array([False, False, True]))
    assert (by_row.count, by_row.null, by_row.min) == (6, 4, 3)
    assert compute_statistics(values, np.zeros(3, bool)).mean is None


def test_distinct_values_are_counted_until_there_are_too_many():
    assert compute_statistics(np.array([3, 1, 3])).distinct == {"1": 1, "3": 2}
    assert compute_statistics(np.array([True, True])).distinct == {"True": 2}
    assert compute_statistics(np.array(["b", "", "b"], np.dtypes.StringDType())).distinct == {
        "": 1,
        "b": 2,
    }
    assert compute_statistics(np.arange(1001)).distinct is None
    half = compute_statistics(np.arange(600))
    assert half.merge(compute_statistics(np.arange(600, 1200))).distinct is None
    assert half.merge(half).distinct == dict.fromkeys(map(str, range(600)), 2)
    assert compute_statistics(np.array([0.5])).distinct is None
    assert compute_statistics(np.zeros((2, 2), np.int64)).distinct is None


def test_ids_are_only_counted():
    assert count_values(np.zeros((3, 2), np.uint64)) == FieldStatistics(count=6)


def test_extremes_of_the_widest_integers_are_exact():
    statistics = compute_statistics(np.array([2**64 - 1, 0], np.uint64))
    assert (statistics.min, statistics.max) == (0, 2**64 - 1)
