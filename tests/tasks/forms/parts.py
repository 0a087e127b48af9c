"""Rows of shards in three splits, made up."""

import numpy as np
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.writing import write_shard

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
