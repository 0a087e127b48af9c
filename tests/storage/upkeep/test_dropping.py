"""Dropped versions are gone for readers at once, and their files by the next collection."""

import json
import time
from pathlib import Path

import pytest

from storage.base.errors import Conflict, NotFound
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.log import name_entry
from storage.datasets.verify import verify_dataset
from storage.testing.small_datasets import add_shard, read_ids
from storage.upkeep.dropping import drop_versions
from storage.upkeep.gc import collect_garbage
from storage.upkeep.purge import purge_rows
from tests.storage.dataset_material import assert_live_only


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three versions of 20 rows each; the third keeps a shard of the second."""
    dataset = Dataset(Store(tmp_path), "demo")
    dataset.replace([add_shard(dataset, 0)])
    second = add_shard(dataset, 100)
    dataset.replace([second])
    dataset.replace([second, add_shard(dataset, 200)])
    return dataset


def test_a_dropped_version_is_gone_and_the_others_are_whole(dataset: Dataset) -> None:
    assert drop_versions(dataset, [0, 1], reason="old") == (0, 1)
    for number in (0, 1):
        with pytest.raises(NotFound, match=f"version {number} .* was dropped"):
            dataset.open(number)
    assert [version.number for version in dataset.iter_versions()] == [2]
    time.sleep(0.02)
    # Only the first one's shard: the latest needs that of the second.
    assert len(collect_garbage(dataset, 0).shards) == 1
    assert read_ids(dataset.open()) == [*range(100, 120), *range(200, 220)]
    assert_live_only(dataset)
    assert verify_dataset(dataset) == []
    assert drop_versions(dataset, [0, 1], reason="old") == ()
    assert [entry.kind for entry in dataset.log()].count("drop") == 1


def test_what_has_a_tag_or_is_the_latest_stays(dataset: Dataset) -> None:
    dataset.tag("golden", 0)
    for number, message in ((0, "tag golden"), (2, "the latest")):
        with pytest.raises(Conflict, match=message):
            drop_versions(dataset, [number], reason="old")
    with pytest.raises(NotFound):
        drop_versions(dataset, [7], reason="old")
    drop_versions(dataset, [1], reason="old")
    with pytest.raises(NotFound, match="was dropped"):
        dataset.tag("late", 1)


def test_what_is_published_after_it_carries_it_on(dataset: Dataset) -> None:
    drop_versions(dataset, [0], reason="old")
    dataset.append([add_shard(dataset, 300)])
    assert dataset.history.read(4).entry.dropped == (0,)
    assert [version.number for version in dataset.iter_versions()] == [1, 2, 4]


def test_logs_without_drops_are_what_they_were(dataset: Dataset) -> None:
    """Older Leptons know no such key; they read what never needed it."""
    path = Path(dataset.files.local_path() or "") / "log" / name_entry(2)
    assert "dropped" not in json.loads(path.read_bytes())
    drop_versions(dataset, [0], reason="old")
    assert json.loads((path.parent / name_entry(3)).read_bytes())["dropped"] == [0]


def test_a_purge_reaches_what_dropped_versions_have_left(dataset: Dataset) -> None:
    (first,) = dataset.open(0).shards
    drop_versions(dataset, [0], reason="old")
    assert dataset.shards.list(first.digest)
    time.sleep(0.02)
    purge_rows(dataset, [200], reason="asked for")
    assert not dataset.shards.list(first.digest)
    assert verify_dataset(dataset) == []
