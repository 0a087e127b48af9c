"""What gates judge of single rows: the same as with all rows in memory, and no more than a shard of
them is held.
"""

import gc
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from gates.prepared.near_duplicates import hash_pictures
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.writing import write_shard
from storage.upkeep.duplicates import count_known
from tasks.data.row_names import name_rows
from tasks.forms.image import ImageForm
from tasks.forms.label_rows import count_labels, open_labels
from tasks.gates.row_looks import key_looks
from tasks.gates.time_leakage import AMONG, tabulate_time_leakage
from tests.gates.builders import tabulate_rows

SPLITS = ("train", "validation", "held_out")
SEEDS = pytest.mark.parametrize("seed", range(4))


def make_parts(seed, sizes, entities=6, labels=5):
    """Rows of shards in three splits, of which some share contents, looks, entities and times."""
    rng = np.random.default_rng(seed)
    looks = rng.integers(0, 255, (6, 1, 4, 4)).astype(np.uint8)
    for number, rows in enumerate(sizes):
        yield (
            SPLITS[number % 3],
            {
                "row_id": np.arange(rows, dtype=np.uint64) + np.uint64(number * 1000),
                "content_hash": rng.integers(0, 1 << 64, (rows, 2), np.uint64),
                "image": looks[rng.integers(0, 6, rows)]
                if seed % 2
                else rng.integers(0, 9, (rows, 1, 4, 4), np.uint8),
                "label": rng.integers(0, labels, rows),
                "label__valid": rng.random(rows) < (0.9 if seed > 1 else 2),
                "series_id": rng.integers(-(1 << 62), 1 << 62, rows) % entities - entities // 2,
                "time": rng.integers(0, 50, rows) + 30 * (number % 3),
            },
        )


def make_version(folder, parts):
    dataset = Dataset(Store(folder), "mills")
    entries = [write_shard(dataset.shards, rows, split=split) for split, rows in parts]
    return dataset.commit(entries, kind="prepared", parent=None)


def join(parts, name):
    return np.concatenate([rows[name] for _, rows in parts])


@SEEDS
@pytest.mark.parametrize(
    "labels", [5, 3000], ids=["few labels", "more labels than the manifest lists"]
)
def test_labels_are_those_of_all_rows_in_memory(tmp_path, seed, labels):
    parts = list(make_parts(seed, [700, 800, 900, 600, 500], labels=labels))
    version = make_version(tmp_path, parts)
    split = np.concatenate([np.full(len(rows["label"]), name) for name, rows in parts])
    valid = join(parts, "label__valid")
    wanted, found = tabulate_rows(
        join(parts, "row_id"), join(parts, "label"), join(parts, "content_hash"), split, valid
    )
    assert {name: count_labels(version, name) for name in SPLITS} == found["label_counts"]
    table = open_labels(version)
    for shard in table.shards:
        assert list(shard.head.dtypes) == list(shard.read().dtypes)
    read = pd.concat([shard.read(("row_id", "label")) for shard in table.shards], ignore_index=True)
    pd.testing.assert_frame_equal(read, wanted[["row_id", "label"]])


def find_leakage(parts):
    """Rows of other splits inside each entity's span in a split, by a loop over all of them."""
    frame = pd.DataFrame({name: join(parts, name) for name in ("series_id", "time")})
    frame["split"] = np.concatenate([np.full(len(rows["time"]), split) for split, rows in parts])
    counts, named = dict.fromkeys(AMONG, 0), {name: [] for name in AMONG}
    for inner, others in AMONG.items():
        for entity, rows in frame[frame.split == inner].groupby("series_id"):
            other = frame[frame.split.isin(others) & (frame.series_id == entity)]
            crossed = int(other.time.between(rows.time.min(), rows.time.max()).sum())
            counts[inner] += crossed
            named[inner] += [f"entity {entity:016x}"] if crossed else []
    return counts, {name: found[:20] for name, found in named.items()}


@SEEDS
@pytest.mark.parametrize("most_bytes", [1 << 20, 500])
def test_leakage_is_those_of_a_plain_loop(tmp_path, seed, most_bytes):
    parts = list(make_parts(seed, [40, 50, 60, 10, 20, 30], entities=6 if seed else 90))
    table = tabulate_time_leakage(make_version(tmp_path, parts), most_bytes)
    counts, named = find_leakage(parts)
    assert min(counts.values()) > 0
    assert table.frame.to_dict("records") == [counts]
    assert table.named == named


def test_splits_apart_in_time_do_not_cross_and_nothing_is_read_twice(tmp_path, monkeypatch):
    parts = [
        (split, {**rows, "time": rows["time"] // 2}) for split, rows in make_parts(0, [40, 50, 60])
    ]
    for number, (_, rows) in enumerate(parts):
        rows["time"] = rows["time"] - rows["time"].min() + 100 * number
    version = make_version(tmp_path, parts)
    reads = []
    plain = type(version).read_shard
    monkeypatch.setattr(
        type(version), "read_shard", lambda *args, **more: reads.append(1) or plain(*args, **more)
    )
    assert tabulate_time_leakage(version).frame.to_dict("records") == [
        {"held_out": 0, "validation": 0}
    ]
    assert len(reads) == 3


@SEEDS
def test_held_out_pictures_that_look_like_training_pictures_are_counted(tmp_path, seed):
    parts = list(make_parts(seed, [40, 10, 30, 30]))
    version = make_version(tmp_path, parts)
    held, train = (
        [
            tuple(pair)
            for name, rows in parts
            if name == split
            for pair in hash_pictures(rows["image"]).tolist()
        ]
        for split in ("held_out", "train")
    )
    wanted = sum(pair in set(train) for pair in held)
    assert bool(wanted) == bool(seed % 2)
    held_out, training = (
        key_looks(version, [split], ImageForm()) for split in ("held_out", "train")
    )
    assert count_known(held_out, [training], 500) == wanted


def test_the_first_rows_are_named_in_the_order_of_the_version(tmp_path):
    version = make_version(tmp_path, make_parts(0, [40, 50, 60]))
    found = name_rows(
        version, iter([(2, np.arange(5, 30)), (0, np.array([7])), (2, np.array([1]))])
    )
    assert (found.count, found.rows, len(found.names)) == (27, 150, 20)
    assert [f"{name.split(' row_id ')[0].split(' ', 3)[3]}" for name in found.names[:3]] == [
        "7 split train",
        "1 split held_out",
        "5 split held_out",
    ]


def test_memory_is_that_of_a_shard_and_the_budget_whatever_the_number_of_rows(tmp_path):
    budget, shard_rows = 1 << 18, 3000
    peaks = []
    for shards in (4, 16):
        parts = make_parts(0, [shard_rows] * shards, entities=1 << 40, labels=3000)
        version = make_version(tmp_path / str(shards), parts)
        works = [
            lambda version=version: tabulate_time_leakage(version, budget),
            lambda version=version: count_labels(version, "train"),
            lambda version=version: [
                len(shard.read(("label",))) for shard in open_labels(version).shards
            ],
        ]
        works[2]()  # what is kept once, such as imports
        peaks.append([measure_peak(work) for work in works])
    assert max(large / small for small, large in zip(*peaks, strict=True)) < 2, peaks
    assert max(peaks[1]) < budget + 3 * shard_rows * 100, peaks


def measure_peak(work):
    """The lower of two, since what other threads of the process hold meanwhile is counted, too."""
    peaks = []
    for _ in range(2):
        gc.collect()
        tracemalloc.start()
        try:
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)
