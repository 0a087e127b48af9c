"""Windows of series: complete, and never across an entity."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.windows import Window, find_windows, split_by_shard


def test_the_first_window_of_each_entity_starts_at_its_first_row():
    series = np.repeat([7, 3, 9], [5, 2, 4])
    assert find_windows(series, Window(lookback=2, horizon=1)).tolist() == [0, 1, 2, 7, 8]
    assert find_windows(series, Window(lookback=2, horizon=1, stride=2)).tolist() == [0, 2, 7]


def test_an_entity_that_is_too_short_gives_no_window():
    assert find_windows(np.array([1, 1, 2]), Window(lookback=4)).tolist() == []
    assert find_windows(np.array([1, 1, 2, 2]), Window(lookback=3)).tolist() == []


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
def test_all_windows_of_an_entity_and_no_other(lengths, lookback, horizon, stride):
    series = np.repeat(np.arange(len(lengths)), lengths)
    window = Window(lookback=lookback, horizon=horizon, stride=stride)
    begins = np.cumsum([0, *lengths])
    expected = [
        row
        for begin, end in itertools.pairwise(begins)
        for row in range(begin, end, stride)
        if row + window.length <= end
    ]
    assert find_windows(series, window).tolist() == expected


def test_windows_are_counted_where_they_begin():
    assert split_by_shard(np.array([0, 1, 2, 7, 8]), [3, 4, 4]) == [3, 0, 2]


@pytest.mark.parametrize("wrong", [{"lookback": 0}, {"lookback": 1, "horizon": -1}, {"lookback": 1, "stride": 0}])
def test_impossible_windows_are_refused(wrong):
    with pytest.raises(ValueError):
        Window(**wrong)
