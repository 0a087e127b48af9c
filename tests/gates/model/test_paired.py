"""Intervals hold what they promise, also where what follows in time is alike."""

import numpy as np
import pytest

from gates.model.blocks import cut_time, deal_blocks, group_blocks
from gates.model.measure import add_errors, measure_errors
from gates.model.paired import compare_difference, compare_skill
from tests.gates.builders import list_measures

LENGTH = 24  # lookback + horizon
HOUR = 3600 * 10**9


def compare_means(own, other, blocks):
    mae, ones = list_measures("values")[0], np.ones(len(own))
    return compare_skill(*(add_errors(mae, errors, ones, blocks) for errors in (own, other)))


def test_overlapping_windows_seem_better_by_chance_as_often_as_is_said():
    draw = np.random.default_rng(1)
    times = np.arange(600) * HOUR
    blocks = cut_time(times, HOUR, LENGTH)
    assert np.bincount(blocks).min() >= LENGTH
    found = {"blocks": 0, "rows": 0}
    for _ in range(200):
        steps = draw.normal(0, 1, 600 + LENGTH)
        alike = np.convolve(steps, np.ones(LENGTH) / LENGTH, "valid")[:600]
        own, other = 5 + alike, np.full(600, 5.0)  # no better: the truth is a skill of 0
        found["blocks"] += compare_means(own, other, blocks).low > 0
        found["rows"] += compare_means(own, other, deal_blocks(600)).low > 0
    assert found["blocks"] <= 16  # 2.5 % of 200 are 5; a few more, as neighbours touch
    assert found["rows"] > 50


def test_blocks_follow_time_over_all_entities_and_a_gap_is_one_step():
    hours = np.concatenate([np.arange(100), np.arange(1000, 1100)])
    times = np.repeat(hours, 3) * HOUR  # three entities
    blocks = cut_time(times, HOUR, 40)
    assert blocks.max() == 4
    assert set(np.bincount(blocks)) == {120}
    jitter = times + np.arange(len(times)) % 3 * (HOUR // 100)
    assert cut_time(jitter, HOUR, 40).max() == 4
    assert cut_time(times, HOUR, 500).max() == 0  # one block: nothing can be said
    alone = compare_means(np.ones(600), np.full(600, 2.0), cut_time(times, HOUR, 500))
    assert (alone.value, np.isnan(alone.low), alone.blocks) == (0.5, True, 1)
    assert cut_time(np.zeros(0, dtype=np.int64), HOUR, 5).shape == (0,)


def test_what_belongs_together_stays_together():
    groups = np.array(["b", "a", "b", "c"] * 50)
    blocks = group_blocks(groups)
    assert [len(np.unique(blocks[groups == name])) for name in "abc"] == [1, 1, 1]
    assert group_blocks(np.arange(1000)).max() == 49


def test_what_rows_add_gives_the_same_as_measuring_again():
    draw = np.random.default_rng(2)
    truth, values = draw.normal(size=(2, 60, 4, 3))
    truth[draw.random(truth.shape) < 0.2] = np.nan
    blocks = np.arange(60) // 6
    for measure in list_measures("forecast"):
        found = measure_errors(measure, values, truth, blocks)
        wanted = [measure.compute(values, truth)] + [
            measure.compute(values[blocks != block], truth[blocks != block]) for block in range(10)
        ]
        np.testing.assert_allclose(found, wanted, err_msg=measure.name)
    labels, chances = draw.integers(0, 3, 60), draw.dirichlet(np.ones(3), 60)
    for measure in list_measures("classes", 3):
        found = measure_errors(measure, chances, labels, blocks)
        assert found[0] == 1 - measure.compute(chances, labels)
        assert len(found) == 11


def test_equal_and_perfect_answers():
    error, none = np.full(11, 0.2), np.zeros(11)
    same = compare_skill(error, error)
    assert (same.value, same.low, same.high, same.p_no_worse) == (0, 0, 0, 0.5)
    assert compare_skill(none, error).low == 1
    assert compare_skill(none, none).low == 0
    assert np.isnan(compare_skill(error, none).low)  # nothing beats a perfect baseline
    assert compare_skill(none + 1 / 100, none, least=0.5 / 100).value == pytest.approx(-2)
    assert compare_skill(none, none, least=0.5 / 100).value == 0
    assert compare_difference(error, none).p_no_worse == 0
    assert np.isnan(compare_difference(np.full(11, np.nan), none).high)
