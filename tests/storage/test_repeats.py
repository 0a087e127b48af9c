import numpy as np
import pandas as pd
import pytest

from storage.files import Store
from storage.repeats import find_duplicates, find_repeats
from storage.shards import write_shard
from storage.versions import Dataset


def make_version(folder, seed):
    """Shards of random length in two splits; keys repeat, and entities with times do among those that are valid."""
    rng = np.random.default_rng(seed)
    dataset = Dataset(Store(folder), "mills-raw")
    entries, frames = [], []
    for number in range(5):
        rows = int(rng.integers(1, 60))
        key = rng.integers(0, 40, (rows, 2)).astype(np.uint64) // np.uint64(4)
        part = {
            "row_id": rng.permutation(1 << 20)[:rows].astype(np.uint64) + np.uint64(number << 20),
            "content_hash": key,
            "time": rng.integers(0, 5, rows),
            "time__valid": rng.random(rows) < 0.8,
            "series_id": rng.integers(-2, 3, rows),
        }
        split = "train" if number % 2 else "test"
        entries.append(write_shard(dataset.shards, part, split=split))
        flat = {name: values for name, values in part.items() if values.ndim == 1}
        frames.append(pd.DataFrame({**flat, "high": key[:, 0], "low": key[:, 1], "split": split}))
    return dataset.commit(entries, kind="raw", parent=None), pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most_bytes", [1 << 28, 2000])
def test_repeats_are_those_of_pandas_in_any_number_of_passes(tmp_path, seed, most_bytes):
    version, frame = make_version(tmp_path, seed)
    wanted = frame.row_id[frame.duplicated(["split", "high", "low"])]
    assert len(wanted)
    assert find_duplicates(version, most_bytes).tolist() == sorted(wanted)
    dated = frame[frame.time__valid]
    wanted = dated.row_id[dated.duplicated(["series_id", "time"])]
    assert find_repeats(version, ("series_id", "time"), most_bytes=most_bytes).tolist() == sorted(wanted)


def test_a_version_without_rows_repeats_nothing(tmp_path):
    version = Dataset(Store(tmp_path), "mills-raw").commit([], kind="raw", parent=None)
    assert find_duplicates(version).tolist() == []
