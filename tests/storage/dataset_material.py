"""Small datasets for the tests of versions."""

import numpy as np

from storage.shards import write_shard


def make_rows(start, count=20, seed=0):
    rng = np.random.default_rng(seed + start)
    return {
        "image": rng.integers(0, 255, (count, 1, 4, 4), np.uint8),
        "label": rng.integers(0, 3, count),
        "row_id": np.arange(start, start + count, dtype=np.uint64),
        "content_hash": rng.integers(0, 2**63, (count, 2)).astype(np.uint64),
    }


def add_shard(dataset, start, count=20, split="", seed=0):
    return write_shard(dataset.shards, make_rows(start, count, seed), split=split)


def read_ids(version):
    return sorted(version.read(fields=["row_id"])["row_id"].tolist()) if version.rows else []
