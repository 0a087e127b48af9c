"""Old rows stay what they were; rows that came back bring ids and hashes of their own."""

from pathlib import Path

import numpy as np
import pytest

from storage.base.errors import SourceError, SourceUnavailable
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.image import ImageSpec
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.shards.row_ids import (
    CONTENT_HASH,
    ROW_ID,
    Rows,
    hash_contents,
    hash_member_ids,
)
from storage.shards.writing import write_shard
from storage.sources.joined import JoinedSource, shape_rows
from storage.sources.sklearn import SklearnSource
from storage.testing.sources import SourceContract, read_all

FIRST = SklearnSource(dataset="digits")
SPEC = ImageSpec.model_validate(
    {
        "image": {"shape": [1, 8, 8], "dtype": "uint8", "value_range": [0, 16]},
        "labels": [str(digit) for digit in range(10)],
        "split": {"by": "hash", "held_out": 0.3, "validation": 0.1, "seed": 7},
    }
)
BACK, LABELLED = 60, 40


def make_rows(count: int = BACK, labelled: int = LABELLED, first: int = 1) -> Rows:
    images = np.random.default_rng(first).integers(0, 17, (count, 1, 8, 8)).astype(np.uint8)
    return {
        ROW_ID: hash_member_ids(f"d1:{first + place}" for place in range(count)),
        CONTENT_HASH: hash_contents({"image": images}),
        "image": images,
        "label": np.where(np.arange(count) < labelled, np.arange(count) % 10, -1),
        "label__valid": np.arange(count) < labelled,
        "feedback.answer_id": np.array([f"d1:{first + place}" for place in range(count)]),
    }


def write_version(folder: Path, *parts: Rows) -> Version:
    dataset = Dataset(Store(folder), "digits-feedback")
    entries = [write_shard(dataset.shards, rows) for rows in parts]
    return dataset.replace(entries, kind="feedback", info={})


def join(folder: Path, version: Version, **more: object) -> JoinedSource:
    dataset = {"workspace": str(folder), "name": version.name, "digest": version.digest}
    return JoinedSource.model_validate({"first": FIRST.model_dump(), "dataset": dataset, **more})


class TestContract(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        return join(tmp_path, write_version(tmp_path, make_rows(), make_rows(first=100)))

    @pytest.fixture
    def spec(self):
        return SPEC

    @pytest.fixture
    def expected_rows(self):
        return 1797 + 2 * LABELLED


def test_old_rows_keep_their_ids_hashes_and_side_of_the_split(tmp_path):
    source = join(tmp_path, write_version(tmp_path, make_rows()))
    store = Store(tmp_path)
    sides = []
    for name, each in (("old", FIRST), ("new", source)):
        raw = collect_rows(each, Dataset(store, f"{name}-raw"), spec=SPEC)
        prepared = prepare_rows(raw, SPEC, Dataset(store, f"{name}-prepared"))
        sides.append(
            {
                row_id: entry.split
                for entry in prepared.shards
                for row_id in prepared.read_shard(entry, (ROW_ID,))[ROW_ID].tolist()
            }
        )
    old, new = sides
    assert old.items() <= new.items()
    back = set(new) - set(old)
    assert back == set(make_rows(LABELLED)[ROW_ID].tolist())
    assert {new[row_id] for row_id in back} == {"train", "validation", "held_out"}


def test_only_rows_with_a_truth_are_read(tmp_path):
    rows = read_all(join(tmp_path, write_version(tmp_path, make_rows())), SPEC)
    kept = np.isin(rows[ROW_ID], make_rows()[ROW_ID])
    assert kept.sum() == LABELLED
    assert (rows["label"] >= 0).all()
    assert sorted(rows) == sorted(read_all(FIRST, SPEC))


def test_where_the_source_splits_rows_that_came_back_are_split_by_their_content(tmp_path):
    spec = SPEC.model_copy(update={"split": SplitSpec(by="source", validation=0.1)})
    source = join(tmp_path, write_version(tmp_path, make_rows(400, 400)), held_out=0.25)
    parts = [part for part in source.parts(1 << 23, spec) if "feedback" in part.name]
    found = {part.split: source.read(part, spec)[ROW_ID] for part in parts}
    assert set(found) == {"train", "held_out"}
    assert sum(map(len, found.values())) == len(set(np.concatenate(list(found.values())))) == 400
    assert 0.15 < len(found["held_out"]) / 400 < 0.35
    # The label plays no part in it: with other labels they are on the same side.
    other = make_rows(400, 400) | {"label": np.zeros(400, np.int64)}
    again = join(tmp_path, write_version(tmp_path, other), held_out=0.25)
    sides = {
        part.split: again.read(part, spec)[ROW_ID]
        for part in again.parts(1 << 23, spec)
        if "feedback" in part.name
    }
    for side, ids in found.items():
        assert set(ids.tolist()) == set(sides[side].tolist())


def test_rows_of_series_that_the_first_source_has_are_passed_over(tmp_path):
    hours = np.arange(10, dtype=np.int64) * 3_600 * 10**9
    features = {
        "numbers": np.ones((10, 1)),
        "numbers__valid": np.ones((10, 1), np.bool_),
        "time": hours,
        "time__valid": np.ones(10, np.bool_),
        "series_id": np.repeat(np.array([1, 2]), 5),
    }
    rows = {
        ROW_ID: hash_member_ids(map(str, range(10))),
        CONTENT_HASH: hash_contents(features),
        **features,
    }
    version = write_version(tmp_path, rows)
    source = join(tmp_path, version, after={"1": int(hours[2])})
    spec = SeriesSpec(time="time", numbers=("a",))
    part = next(source._cut_version(version, tuple(features), spec))
    assert source.read(part, spec)["time"].tolist() == [*hours[3:5], *hours[5:]]


def test_a_version_that_is_not_there_is_named(tmp_path):
    source = join(tmp_path, write_version(tmp_path, make_rows()))
    gone = source.model_copy(
        update={"dataset": source.dataset.model_copy(update={"digest": "0" * 64})}
    )
    with pytest.raises(SourceUnavailable, match="digits-feedback"):
        list(gone.scan(SPEC, 1 << 23))
    with pytest.raises(SourceUnavailable, match="lepton datasets"):
        gone.look()


def test_a_field_that_is_not_there_is_named():
    with pytest.raises(SourceError, match="the field weight"):
        shape_rows(make_rows(), ("image", "weight"), "somewhere")


def test_a_shard_that_was_altered_is_refused(tmp_path):
    version = write_version(tmp_path, make_rows())
    source = join(tmp_path, version)
    part = next(part for part in source.parts(1 << 23, SPEC) if "feedback" in part.name)
    path = tmp_path / "datasets/digits-feedback/shards" / version.shards[0].find_file("image")
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(SourceError, match="restore the dataset"):
        source.read(part, SPEC)


def test_secrets_of_the_first_source_are_not_shown(tmp_path):
    secret = "s3cret"
    first = {"type": "csv", "url": f"s3://u:{secret}@b/d.csv", "options": {"secret": secret}}
    source = join(tmp_path, write_version(tmp_path, make_rows())).model_dump() | {"first": first}
    read = JoinedSource.model_validate(source)
    assert secret not in repr(read)
    assert secret not in str(read.display)
    assert secret not in str(read.model_dump(mode="json")["first"]["options"])


@pytest.mark.parametrize("first", [{"type": "joined"}, {"type": "no"}, {}, 3])
def test_what_comes_first_is_another_source(tmp_path, first):
    source = join(tmp_path, write_version(tmp_path, make_rows())).model_dump() | {"first": first}
    with pytest.raises(ValueError, match="must be one of arrays, csv"):
        JoinedSource.model_validate(source)


def test_rows_that_break_the_data_section_are_passed_over(tmp_path):
    rows = make_rows()
    rows["image"][3] = 99
    source = join(tmp_path, write_version(tmp_path, rows))
    found = read_all(source, SPEC)
    assert len(found[ROW_ID]) == 1797 + LABELLED - 1
    assert rows[ROW_ID][3] not in found[ROW_ID]
