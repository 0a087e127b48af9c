"""Small datasets of made-up rows."""

import numpy as np

from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import Rows
from storage.shards.writing import write_shard


def make_rows(start: int, count: int = 20, seed: int = 0) -> Rows:
    """Make images (count, 1, 4, 4) with labels; the ids ascend from `start`."""
    rng = np.random.default_rng(seed + start)
    return {
        "image": rng.integers(0, 255, (count, 1, 4, 4), np.uint8),
        "label": rng.integers(0, 3, count),
        "row_id": np.arange(start, start + count, dtype=np.uint64),
        "content_hash": rng.integers(0, 2**63, (count, 2)).astype(np.uint64),
    }


def add_shard(
    dataset: Dataset, start: int, count: int = 20, split: str = "", seed: int = 0
) -> ShardEntry:
    """Write a shard of made-up rows, not committed yet."""
    return write_shard(dataset.shards, make_rows(start, count, seed), split=split)


def fill_dataset(dataset: Dataset) -> Dataset:
    """Commit three versions: 0..20 (train), + 100..120 (held_out), + 200..220 (train)."""
    first = [add_shard(dataset, 0, split="train")]
    dataset.commit(first, kind="collect", parent=None, info={"source": "x"})
    dataset.append([add_shard(dataset, 100, split="held_out")])
    dataset.append([add_shard(dataset, 200, split="train")])
    return dataset


def read_ids(version: Version) -> list[int]:
    """List the ids of all rows of a version, ascending."""
    return sorted(version.read(fields=["row_id"])["row_id"].tolist()) if version.rows else []
