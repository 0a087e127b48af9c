"""Collecting: one part, one shard; the same digests whoever did the work; wrong values stay."""

from itertools import pairwise

import numpy as np
import pytest

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_version
from storage.pipeline.collecting import collect_rows
from storage.shards.row_ids import LABEL, ROW_ID
from storage.sources.base import Decoded, Part, Source, SourceFile, Undecodable
from storage.sources.csv import CsvSource
from storage.sources.idx import IdxSource
from storage.sources.sklearn import SklearnSource
from tests.storage.dataset_material import assert_nothing_else
from tests.storage.deadly import MOMENTS, DeadlyClient
from tests.storage.sources.test_idx import folder, make_idx, make_images, make_labels  # noqa: F401


class FaultySource(Source):
    """Two parts; the second one cannot be read at all, or has one fault."""

    type: str = "faulty"
    whole: bool = True

    def scan(self, spec, target_bytes):
        yield Part(name="a", start=0, stop=3)
        yield Part(name="b", start=0, stop=3)
        yield SourceFile(name="a", size_bytes=1, sha256="0" * 64)

    def decode(self, part, spec):
        rows = {"image": np.zeros((3, 1, 2, 2), np.uint8), LABEL: np.arange(3)}
        if part.name == "a" and self.whole:
            return Decoded(rows)
        faults = (Undecodable(f"{part.name}/1.jpg", "cannot be read as an image"),)
        return Decoded(
            {name: values[:0] for name, values in rows.items()}, members=(), faults=faults
        )


class TwiceSource(Source):
    """Two parts, the second of which has the last row of the first one again."""

    type: str = "twice"
    named: bool

    def scan(self, spec, target_bytes):
        yield Part(name="a", start=0, stop=3)
        yield Part(name="a", start=2, stop=5)

    def decode(self, part, spec):
        numbers = range(part.start, part.stop)
        rows = {"image": np.zeros((3, 1, 2, 2), np.uint8), LABEL: np.array(numbers)}
        return Decoded(rows, members=tuple(map(str, numbers)) if self.named else None)


@pytest.fixture
def dataset(tmp_path):
    return Dataset(Store(str(tmp_path / "workspace")), "digits-raw")


def test_digits_become_a_version(dataset):
    version = collect_rows(SklearnSource(), dataset)
    rows = version.read()
    assert version.splits == {"": 1797}
    assert rows["image"].shape == (1797, 1, 8, 8)
    assert rows["image"].dtype == np.uint8
    assert len(np.unique(rows[ROW_ID])) == 1797
    statistics = version.statistics()
    assert (statistics["image"].min, statistics["image"].max) == (0, 16)
    assert statistics["label"].distinct["3"] == 183
    assert version.info["source"]["type"] == "sklearn"
    assert version.info["source"]["rows"] == 1797
    assert not verify_version(version)


def test_every_shard_says_where_its_rows_come_from(dataset):
    version = collect_rows(SklearnSource(), dataset, target_shard_bytes=20_000)
    spans = [span for entry in version.shards for span in entry.source]
    assert len(version.shards) == 7
    assert (spans[0].name, spans[0].start, spans[-1].stop) == ("digits", 0, 1797)
    assert all(before.stop == after.start for before, after in pairwise(spans))


def test_the_source_s_splits_are_the_shards(dataset, folder):  # noqa: F811
    version = collect_rows(IdxSource(url=str(folder)), dataset)
    assert version.splits == {"train": 50, "held_out": 20}


def test_collecting_again_commits_nothing(dataset):
    first, second = collect_rows(SklearnSource(), dataset), collect_rows(SklearnSource(), dataset)
    assert (first.number, first.digest) == (second.number, second.digest)


def test_other_data_make_another_version(dataset, folder):  # noqa: F811
    first = collect_rows(IdxSource(url=str(folder)), dataset)
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(make_images(50, seed=9)))
    second = collect_rows(IdxSource(url=str(folder)), dataset)
    assert second.number == first.number + 1
    assert dataset.open(first.number).read()["image"][0].tolist() == make_images(50)[:1].tolist()


def test_wrong_values_reach_the_raw_version(dataset, folder):  # noqa: F811
    images = make_images(50, "f4")
    images[3, 0, 0], images[4, 1, 1], images[5, 0, 0] = np.nan, 1e9, np.inf
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(images))
    labels = make_labels(50)
    labels[7] = 200
    (folder / "train-labels-idx1-ubyte").write_bytes(make_idx(labels))
    version = collect_rows(IdxSource(url=str(folder), held_out=None), dataset)
    statistics = version.statistics()
    assert (statistics["image"].nan, statistics["image"].inf, statistics["image"].max) == (
        1,
        1,
        1e9,
    )
    assert statistics["label"].distinct["200"] == 1
    np.testing.assert_array_equal(version.read()["image"][:, 0], images)


def test_faults_are_listed_and_the_rest_is_kept(dataset):
    version = collect_rows(FaultySource(), dataset)
    assert version.splits == {"": 3}
    assert version.info["faults"] == [{"name": "b/1.jpg", "reason": "cannot be read as an image"}]
    assert version.info["fault_count"] == 1


def test_nothing_readable_is_an_error_that_names_the_first_faults(dataset):
    with pytest.raises(SourceError, match=r"a/1\.jpg: cannot be read"):
        collect_rows(FaultySource(whole=False), dataset)
    assert dataset.latest() is None


@pytest.mark.parametrize(
    ("named", "words"), [(False, "got records of a from 2 on twice"), (True, "got 1 members twice")]
)
def test_a_record_that_comes_twice_is_refused(dataset, named, words):
    with pytest.raises(SourceError, match=words):
        collect_rows(TwiceSource(named=named), dataset)
    assert dataset.latest() is None


def test_a_source_that_was_written_down_without_its_secrets_is_not_read(dataset):
    written = CsvSource(url="d.csv", options={"key": "hunter2"}).model_dump_json()
    with pytest.raises(SourceUnavailable, match="must be given whole"):
        collect_rows(CsvSource.model_validate_json(written), dataset)


def test_scratch_is_gone_afterwards(dataset, folder, tmp_path):  # noqa: F811
    collect_rows(IdxSource(url=str(folder)), dataset)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(SourceError):
        collect_rows(IdxSource(url=str(folder)), dataset)
    assert not [
        path
        for path in (tmp_path / "workspace").rglob("*")
        if "scratch" in path.parts and path.is_file()
    ]


def test_workers_write_the_same_shards(dataset, tmp_path, client):
    other = Dataset(Store(str(tmp_path / "other")), "digits-raw")
    here = collect_rows(SklearnSource(), dataset, target_shard_bytes=20_000)
    there = collect_rows(SklearnSource(), other, client, target_shard_bytes=20_000)
    assert here.manifest_digest == there.manifest_digest
    assert not [
        path
        for path in (tmp_path / "other").rglob("*")
        if "scratch" in path.parts and path.is_file()
    ]


def test_an_error_in_a_worker_comes_through(dataset, folder, client):  # noqa: F811
    images = make_idx(make_images(50))
    (folder / "train-images-idx3-ubyte").write_bytes(images[:100])
    with pytest.raises(SourceError, match="train-images-idx3-ubyte"):
        collect_rows(IdxSource(url=str(folder)), dataset, client)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_killed_workers_leave_no_trace(dataset, tmp_path, client):
    other = Dataset(Store(str(tmp_path / "other")), "digits-raw")
    here = collect_rows(SklearnSource(), dataset, target_shard_bytes=40_000)
    deadly = DeadlyClient(client, tmp_path / "deaths")
    there = collect_rows(SklearnSource(), other, deadly, target_shard_bytes=40_000)
    assert deadly.deaths == sorted(("collect_part", moment) for moment in MOMENTS)
    assert there.manifest_digest == here.manifest_digest
    assert_nothing_else(other)
