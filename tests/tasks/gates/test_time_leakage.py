"""Leakage in time: counted as by a plain loop, in the memory of a shard and a budget."""

import numpy as np
import pandas as pd
import pytest

from tasks.forms.label_rows import count_labels, open_labels
from tasks.gates.time_leakage import AMONG, tabulate_time_leakage
from tests.peak import measure_peak
from tests.tasks.forms.parts import SEEDS, join, make_parts, make_version


def find_leakage(parts):
    """Rows of other splits inside each entity's span in a split, by a loop over all of them."""
    frame = pd.DataFrame({name: join(parts, name) for name in ("series_id", "time")})
    frame["split"] = np.concatenate([np.full(len(rows["time"]), split) for split, rows in parts])
    counts, named = dict.fromkeys(AMONG, 0), {name: [] for name in AMONG}
    for inner, others in AMONG.items():
        for entity, rows in frame[frame.split == inner].groupby("series_id"):
            other = frame[frame.split.isin(others) & (frame.series_id == entity)]
            leaked = int(other.time.between(rows.time.min(), rows.time.max()).sum())
            counts[inner] += leaked
            named[inner] += [f"entity {entity:016x}"] if leaked else []
    return counts, {name: found[:20] for name, found in named.items()}


@SEEDS
@pytest.mark.parametrize("most_bytes", [1 << 20, 500])
def test_leakage_is_that_of_a_plain_loop(tmp_path, seed, most_bytes):
    parts = list(make_parts(seed, [40, 50, 60, 10, 20, 30], entities=6 if seed else 90))
    table = tabulate_time_leakage(make_version(tmp_path, parts), most_bytes)
    counts, named = find_leakage(parts)
    assert min(counts.values()) > 0
    assert table.frame.to_dict("records") == [counts]
    assert table.named == named


def test_splits_apart_in_time_do_not_leak_and_nothing_is_read_twice(tmp_path, monkeypatch):
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


def test_memory_is_that_of_a_shard_and_the_budget_whatever_the_number_of_rows(tmp_path):
    budget, shard_rows = 1 << 18, 3000
    bound = budget + 3 * shard_rows * 100
    peaks = []
    for shards in (3, 9):
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
    assert max(peaks[1]) < bound, peaks
