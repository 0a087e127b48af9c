"""The contract of datasets: what they must hold to on every store."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from storage.base.errors import Conflict, InvalidInput, NotFound
from storage.base.store import Store, sha256_bytes
from storage.datasets.dataset import Dataset
from storage.datasets.log import name_entry
from storage.datasets.verify import verify_dataset
from storage.shards.statistics import compute_statistics
from storage.shards.writing import write_shard
from storage.testing.dataset_edits import EditContract
from storage.testing.small_datasets import add_shard, fill_dataset, make_rows, read_ids
from storage.upkeep.edits import delete_rows


class DatasetContract(EditContract):
    """States what a dataset promises; a subclass gives a fixture `store`, empty and fresh."""

    @pytest.fixture
    def dataset(self, store: Store) -> Dataset:
        """An empty dataset."""
        return Dataset(store, "demo")

    @pytest.fixture
    def filled(self, dataset: Dataset) -> Dataset:
        """Three versions: 0..20 (train), + 100..120 (held_out), + 200..220 (train)."""
        return fill_dataset(dataset)

    def test_a_dataset_without_a_version(self, dataset: Dataset) -> None:
        assert dataset.latest() is None
        assert dataset.log() == []
        assert verify_dataset(dataset) == []
        with pytest.raises(NotFound, match="collect data first"):
            dataset.open()
        with pytest.raises(NotFound, match="collect data first"):
            dataset.tag("gold")

    def test_a_commit_is_there(self, filled: Dataset) -> None:
        version = filled.open(0)
        assert (version.ref, version.number, version.rows, version.splits) == (
            "demo@0",
            0,
            20,
            {"train": 20},
        )
        assert version.info == {"source": "x"}
        assert [field.name for field in version.fields] == [
            "content_hash",
            "image",
            "label",
            "row_id",
        ]
        assert version.digest == sha256_bytes(filled.history.files.read(name_entry(0)))
        assert version.entry.manifest == version.manifest_digest
        for name, array in make_rows(0).items():
            np.testing.assert_array_equal(version.read("train")[name], array)

    def test_a_version_never_changes(self, filled: Dataset) -> None:
        first = filled.open(0)
        shards = first.shards
        delete_rows(filled, [0, 1])
        filled.replace([add_shard(filled, 500)])
        assert filled.open(0).shards == shards == first.shards
        assert read_ids(filled.open(0)) == read_ids(first) == list(range(20))

    def test_append_adds_to_what_is_there(self, filled: Dataset) -> None:
        latest = filled.open()
        assert (latest.number, latest.splits) == (2, {"held_out": 20, "train": 40})
        assert latest.info == {"source": "x"}
        assert read_ids(latest) == [*range(20), *range(100, 120), *range(200, 220)]

    def test_appending_again_changes_nothing(self, filled: Dataset) -> None:
        again = filled.append([add_shard(filled, 200, split="train")])
        assert again.ref == filled.open().ref == "demo@2"

    def test_commit_wants_the_latest_parent(self, filled: Dataset) -> None:
        entry = add_shard(filled, 300)
        for parent in (None, 0, 1, 3):
            with pytest.raises(Conflict, match="latest"):
                filled.commit([entry], kind="x", parent=parent)
        assert filled.commit([entry], kind="x", parent=2).number == 3

    def test_opens_by_number_tag_and_time(self, filled: Dataset) -> None:
        filled.tag("gold", 1)
        later = filled.append([add_shard(filled, 300)])
        assert later.number == 4
        times = [entry.created_at for entry in filled.log()]
        assert times == sorted(times)
        assert [
            filled.open(asked).number
            for asked in (None, "latest", 0, "0", "gold", "demo@1", "demo@gold")
        ] == [
            4,
            4,
            0,
            0,
            1,
            1,
            1,
        ]
        assert filled.open(times[1]).number == 1
        assert filled.open(times[1].isoformat()).number == 1
        assert filled.open(times[3]).number == 2
        assert filled.open(datetime.now(UTC).date().isoformat()).number == 4
        assert filled.open((times[0] - timedelta(days=-900)).replace(tzinfo=None)).number == 4
        with pytest.raises(NotFound, match="the first came later"):
            filled.open(times[0] - timedelta(seconds=1))
        for nothing in (3, 5, 99, -1, "silver", "2026-99-99", "demo@9"):
            with pytest.raises(NotFound, match="demo"):
                filled.open(nothing)

    def test_tags(self, filled: Dataset) -> None:
        filled.tag("gold", 0)
        filled.tag("gold", 0)
        assert len(filled.log()) == 4
        with pytest.raises(Conflict, match="move it on purpose"):
            filled.tag("gold")
        filled.tag("gold", move=True)
        assert filled.open("gold").number == 2
        filled.untag("gold")
        with pytest.raises(NotFound):
            filled.open("gold")
        with pytest.raises(NotFound, match="tag gold"):
            filled.untag("gold")
        assert filled.open(2).entry.tags == {}
        for name in ("latest", "7", "a/b", ""):
            with pytest.raises(InvalidInput, match="a tag"):
                filled.tag(name)

    def test_statistics_come_from_the_manifest(
        self, filled: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version = filled.open()
        rows = {split: version.read(split) for split in version.splits}
        everything = version.read()
        version.shards  # noqa: B018 - the manifest
        monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("a file was read"))
        for split, data in [*rows.items(), (None, everything)]:
            found, expected = version.statistics(split)["image"], compute_statistics(data["image"])
            assert (found.count, found.min, found.max, found.histogram) == (
                expected.count,
                expected.min,
                expected.max,
                expected.histogram,
            )
            assert found.mean == pytest.approx(expected.mean)
            assert found.std == pytest.approx(expected.std)

    def test_an_unknown_split_is_refused(self, filled: Dataset) -> None:
        with pytest.raises(NotFound, match=r"'test'.*held_out.*train"):
            filled.open().read("test")

    def test_shards_that_cannot_be_one_version_are_refused(self, filled: Dataset) -> None:
        other = write_shard(filled.shards, {"image": np.zeros((2, 1, 4, 4), np.float32)})
        with pytest.raises(InvalidInput, match="fields of all shards"):
            filled.append([other])
        twice = add_shard(filled, 300)
        with pytest.raises(InvalidInput, match="once"):
            filled.append([twice, twice])
        with pytest.raises(InvalidInput, match="canonical JSON"):
            filled.append([twice], info={"x": float("nan")})
        assert filled.open().number == 2

    def test_a_shard_that_is_not_there_is_refused(self, filled: Dataset) -> None:
        entry = add_shard(filled, 300)
        filled.shards.delete(entry.find_file("label"))
        with pytest.raises(Conflict, match="write it again"):
            filled.append([entry])
        assert filled.open().number == 2
        assert filled.append([add_shard(filled, 300)]).number == 3

    def test_writers_lose_nothing(self, dataset: Dataset) -> None:
        """A bounded form of 8 writers x 60 commits, in threads."""

        def write(writer: int) -> list[int]:
            return [
                dataset.append([add_shard(dataset, 1000 * writer + 10 * turn, 5)]).number
                for turn in range(4)
            ]

        with ThreadPoolExecutor(4) as threads:
            numbers = sorted(number for found in threads.map(write, range(4)) for number in found)
        assert numbers == list(range(16))
        assert dataset.history.list_numbers() == numbers
        expected = sorted(
            1000 * w + 10 * t + r for w in range(4) for t in range(4) for r in range(5)
        )
        assert read_ids(dataset.open()) == expected
        assert verify_dataset(dataset) == []

    def test_a_reader_travels_to_another_process(self, filled: Dataset) -> None:

        if filled.workspace.url.startswith("memory"):
            pytest.skip("memory is one process's own")
        assert read_ids(pickle.loads(pickle.dumps(filled.open()))) == read_ids(filled.open())
