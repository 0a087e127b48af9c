"""The bounded form of `python -m benchmarks.faults`: a dozen faults in real data, and resamples
without one.
"""

import numpy as np
import pytest

from benchmarks.fault_catalogue import CASES
from benchmarks.fault_catalogue_later import FIRST
from benchmarks.fault_data import SHARED, collect
from benchmarks.fault_feeds import LOADERS
from benchmarks.faults import judge, judge_case

FOLDERS = {
    "MNIST": "mnist",
    "AI4I 2020": "ai4i2020",
    "PeMS traffic": "traffic-pems-single",
    "ETTh1": "ett",
}
CHOSEN = (
    ("MNIST", "all-black camera, 10 % of the images"),
    ("MNIST", "images transposed"),
    ("MNIST", "5 % of the labels flipped"),
    ("MNIST", "held-out images among those for training"),
    ("MNIST", "truncated file"),
    ("AI4I 2020", "unit change: kelvin to degrees Celsius"),
    ("AI4I 2020", "mojibake in 5 % of the categories"),
    ("AI4I 2020", "a column that is the label"),
    ("PeMS traffic", "timezone jump half way: eight hours"),
    ("PeMS traffic", "stuck sensor for four days"),
    ("ETTh1", "silent zeros, 10 %"),
    ("ETTh1", "future leak: a column that is the target an hour later"),
    ("MNIST", "the label burnt into a corner"),
    ("AI4I 2020", "missing wear written as -1, 2 %"),
    ("PeMS traffic", "stuck two hours of each day"),
    ("PeMS traffic", "a week missing"),
    ("ETTh1", "a load a day late"),
)


@pytest.fixture(scope="module")
def feeds(tmp_path_factory):
    """Each data set that is on this machine, and its accepted version."""
    known = {}

    def find(name):
        if not (SHARED / FOLDERS[name]).is_dir():
            pytest.skip(f"{name} is not on this machine ({SHARED / FOLDERS[name]} is absent)")
        if name not in known:
            folder = tmp_path_factory.mktemp(FOLDERS[name])
            feed = LOADERS[name]()
            known[name] = feed, collect(feed, folder / "accepted"), folder
        return known[name]

    return find


@pytest.mark.parametrize(("feed", "name"), CHOSEN)
def test_a_fault_is_stopped_for_the_right_reason(feeds, feed, name):
    case = next(case for case in CASES if (case.feed, case.name) == (feed, name))
    clean, accepted, folder = feeds(feed)
    verdict = judge_case(case, clean, accepted, folder)
    assert verdict.is_right(case), verdict


@pytest.mark.parametrize("name", FOLDERS)
def test_a_clean_resample_passes(feeds, name):
    clean, accepted, folder = feeds(name)
    verdict = judge(clean.draw(77), accepted, folder / "clean")
    assert not verdict.stopped, verdict.reasons


def test_another_part_of_a_series_and_other_rows_of_a_table_pass(feeds):
    for name in ("ETTh1", "AI4I 2020"):
        clean, accepted, folder = feeds(name)
        part, shuffled = np.arange(clean.rows), np.random.default_rng(0).permutation(clean.rows)
        chosen = (part if name == "ETTh1" else shuffled)[: clean.rows * 7 // 10]
        verdict = judge(clean.take(chosen), accepted, folder / "part")
        assert not verdict.stopped, verdict.reasons


def test_the_catalogue_is_large_and_every_fault_says_how_it_is_found():
    assert len(CASES) > FIRST >= 30
    assert len({(case.feed, case.name) for case in CASES}) == len(CASES)
    assert all(case.reasons for case in CASES)
