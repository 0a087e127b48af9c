"""What the folder of a dataset may hold once its writers have ended."""

import time

from storage.datasets.manifest import read_manifest
from storage.datasets.verify import verify_dataset
from storage.upkeep.gc import collect_garbage


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
