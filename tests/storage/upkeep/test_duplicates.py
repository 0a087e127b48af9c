"""Rows that share keys, held against pandas on all rows at once; and what looking for them keeps in
memory.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.writing import write_shard
from storage.upkeep.duplicates import (
    count_duplicates,
    iter_alike,
    iter_duplicates,
    iter_equal_rows,
    iter_shared,
)
from storage.upkeep.known_rows import count_known, key_contents
from tests.peak import measure_peak

BUDGETS = pytest.mark.parametrize("most_bytes", [1 << 28, 2000])
SEEDS = pytest.mark.parametrize("seed", range(4))
SPLITS = ("train", "held_out", "")


def make_version(folder, seed, sizes=None, distinct=10):
    """Shards of random length in three splits; contents repeat, also those of which only one half
    differs.
    """
    rng = np.random.default_rng(seed)
    dataset = Dataset(Store(folder), "mills-raw")
    halves = rng.integers(0, 1 << 64, (2, distinct), np.uint64)
    entries, frames = [], []
    for number, rows in enumerate(sizes or rng.integers(1, 60, 7).tolist()):
        key = np.stack([half[rng.integers(0, distinct, rows)] for half in halves], axis=1)
        part = {
            "row_id": rng.integers(0, 1 << 9, rows).astype(np.uint64),
            "content_hash": key,
            "time": rng.integers(0, 5, rows),
            "time__valid": rng.random(rows) < 0.8,
            "series_id": rng.integers(-2, 3, rows),
        }
        split = SPLITS[number % 3]
        entries.append(write_shard(dataset.shards, part, split=split))
        flat = {name: values for name, values in part.items() if values.ndim == 1}
        named = {
            "high": key[:, 0],
            "low": key[:, 1],
            "split": split,
            "number": number,
            "place": np.arange(rows),
        }
        frames.append(pd.DataFrame({**flat, **named}))
    return dataset.commit(entries, kind="raw", parent=None), pd.concat(frames, ignore_index=True)


def list_spots(found):
    """(shard, place) of each row that was found, and that none was found twice."""
    spots = sorted((number, place) for number, places, *_ in found for place in places.tolist())
    assert len(set(spots)) == len(spots)
    return spots


def list_wanted(frame, chosen):
    spots = list(frame.loc[chosen, ["number", "place"]].itertuples(index=False, name=None))
    assert spots
    return spots


@SEEDS
@BUDGETS
def test_duplicates_are_those_of_pandas_in_any_number_of_ranges(tmp_path, seed, most_bytes):
    version, frame = make_version(tmp_path, seed)
    wanted = list_wanted(frame, frame.duplicated(["split", "high", "low"]))
    assert list_spots(iter_duplicates(version, most_bytes)) == wanted
    assert count_duplicates(version) == len(wanted)
    dated = frame[frame.time__valid]
    wanted = list_wanted(dated, dated.duplicated(["series_id", "time"]))
    assert (
        list_spots(iter_equal_rows(version, ("series_id", "time"), most_bytes=most_bytes)) == wanted
    )


@SEEDS
@BUDGETS
def test_rows_alike_are_those_of_pandas(tmp_path, seed, most_bytes):
    version, frame = make_version(tmp_path, seed)
    wanted = list_wanted(frame, frame.duplicated(["row_id"], keep=False))
    assert list_spots(iter_alike(version, ("row_id",), most_bytes)) == wanted


@SEEDS
@BUDGETS
def test_rows_that_splits_share_are_those_of_pandas(tmp_path, seed, most_bytes):
    version, frame = make_version(tmp_path, seed)
    first = frame.drop_duplicates(["high", "low", "split"])
    wanted = list_wanted(first, first.duplicated(["high", "low"], keep=False))
    found = list(iter_shared(version, most_bytes=most_bytes))
    assert list_spots(found) == wanted
    ids = {
        (number, place): same
        for number, places, alike in found
        for place, same in zip(places, alike, strict=True)
    }
    contents = first.set_index(["number", "place"])[["high", "low"]].apply(tuple, axis=1)
    assert len({(ids[spot], contents[spot]) for spot in wanted}) == len(set(ids.values()))


@SEEDS
@BUDGETS
def test_held_out_rows_among_those_for_training_are_those_of_pandas(tmp_path, seed, most_bytes):
    version, frame = make_version(tmp_path, seed)
    held, train = (frame[frame.split == split] for split in ("held_out", "train"))
    known = set(zip(train.high, train.low, strict=True))
    wanted = sum(pair in known for pair in zip(held.high, held.low, strict=True))
    assert 0 < wanted < len(held)
    held_out, training = (key_contents(version, [split]) for split in ("held_out", "train"))
    assert count_known(held_out, [training], most_bytes) == wanted
    # In two parts, as rows of two versions are.
    parts = [replace(training, shards=[entry]) for entry in training.shards]
    assert len(parts) > 1
    assert count_known(held_out, parts, most_bytes) == wanted


def test_a_version_without_rows_has_no_duplicates(tmp_path):
    version = Dataset(Store(tmp_path), "mills-raw").commit([], kind="raw", parent=None)
    assert list(iter_duplicates(version)) == []
    assert list(iter_shared(version)) == []


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "distinct",
    [pytest.param(4, marks=SLOW), 150, pytest.param(1 << 20, marks=SLOW)],
    ids=["all duplicates", "most duplicates", "no duplicates"],
)
def test_memory_is_that_of_a_shard_and_the_budget_whatever_the_number_of_rows(tmp_path, distinct):
    budget, shard_rows = 1 << 17, 500
    bound = budget + 3 * shard_rows * 100  # of keys, masks and places, as they are read and chosen
    version, _ = make_version(tmp_path, 0, [shard_rows] * 24, distinct)
    assert bound < version.rows * 24  # less than ids and hashes of all rows
    held_out, training = (key_contents(version, [split]) for split in ("held_out", "train"))
    works = [
        lambda: [len(places) for _, places in iter_duplicates(version, budget)],
        lambda: [len(places) for _, places in iter_alike(version, ("row_id",), budget)],
        lambda: [len(places) for _, places, _ in iter_shared(version, most_bytes=budget)],
        lambda: count_known(held_out, [training], budget),
    ]
    works[0]()  # what is kept once, such as imports
    peaks = [measure_peak(work) for work in works]
    assert max(peaks) < bound, peaks
