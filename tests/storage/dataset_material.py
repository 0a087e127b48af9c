"""Small datasets for the tests of versions."""

import time

import numpy as np

from storage.datasets.manifest import read_manifest
from storage.datasets.verify import verify_dataset
from storage.shards.shard import write_shard
from storage.upkeep.gc import collect_garbage


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


def assert_nothing_else(dataset):
    """Scratch space is empty, and a collection leaves the files of versions alone, all of them
    whole.
    """
    assert not [path for path in dataset.files.local_path("scratch").rglob("*") if path.is_file()]
    assert_live_only(dataset)


def assert_live_only(dataset, tick_s=0.02):
    """What a collection leaves is what versions need, and it is intact.

    Args:
        dataset: The dataset.
        tick_s: After which a file is older than now, by the store's clock, in seconds.
    """
    time.sleep(tick_s)
    collect_garbage(dataset, 0)
    live = {
        f"shards/{s.digest}/{path}"
        for v in dataset.iter_versions()
        for s in v.shards
        for path in s.files
    }
    live |= {
        f"manifests/{node}.json"
        for version in dataset.iter_versions()
        for node in read_manifest(dataset.manifests, version.manifest_digest).nodes
    }
    folder = dataset.files.local_path()
    there = dataset.files.list()
    if folder is not None:
        there = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert {path for path in there if not path.startswith("log/")} == live
    assert verify_dataset(dataset) == []
