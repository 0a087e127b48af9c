"""Windows of series: complete, and never across an entity."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.stream.windows import Window, count_by_shard, find_windows, number_runs


def test_the_first_window_of_each_entity_starts_at_its_first_row():
    runs = number_runs(np.repeat([7, 3, 9], [5, 2, 4]), None, None)
    assert find_windows(runs, Window(lookback=2, horizon=1)).tolist() == [0, 1, 2, 7, 8]
    assert find_windows(runs, Window(lookback=2, horizon=1, stride=2)).tolist() == [0, 2, 7]


def test_an_entity_that_is_too_short_gives_no_window():
    assert find_windows(np.array([1, 1, 2]), Window(lookback=4)).tolist() == []
    assert find_windows(np.array([1, 1, 2, 2]), Window(lookback=3)).tolist() == []


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 3),
)
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
    assert find_windows(number_runs(series, None, None), window).tolist() == expected


def test_a_run_ends_where_time_jumps_or_stands_still():
    times = np.array([0, 10, 20, 35, 51, 51, 61, 40])
    assert number_runs(np.zeros(8), times, 15.0).tolist() == [0, 0, 0, 0, 1, 2, 2, 3]
    assert number_runs(np.zeros(8), times, None).tolist() == [0] * 8
    assert number_runs(np.array([]), None, None).tolist() == []


def test_only_own_rows_are_asked_for():
    runs, own = np.zeros(8, np.int64), np.array([0, 0, 0, 1, 1, 1, 0, 1], np.bool_)
    assert find_windows(runs, Window(lookback=2, horizon=2), own).tolist() == [1, 2]
    assert find_windows(runs, Window(lookback=3), own).tolist() == [1, 2, 3, 5]
    assert find_windows(runs, Window(lookback=3, stride=2), own).tolist() == [1, 3, 5]


def test_a_lead_moves_what_is_asked_for_behind_the_past():
    runs, own = np.zeros(9, np.int64), np.arange(9) >= 6
    window = Window(lookback=2, horizon=2, lead=3)
    assert (window.length, window.asked) == (7, 2)
    assert find_windows(runs, window).tolist() == [0, 1, 2]
    assert find_windows(runs, window, own).tolist() == [1, 2]


def test_rows_are_counted_by_shard():
    assert count_by_shard(np.array([0, 1, 2, 7, 8]), [3, 4, 4]) == [3, 0, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lookback": 0},
        {"lookback": 1, "horizon": -1},
        {"lookback": 1, "stride": 0},
        {"lookback": 1, "max_gap_steps": 0.5},
    ],
)
def test_impossible_windows_are_refused(wrong):
    with pytest.raises(ValueError):
        Window(**wrong)
