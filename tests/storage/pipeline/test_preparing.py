"""Preparing: every row accounted for, no row on two sides, one order whatever the workers."""

import sys

import numpy as np
import pytest
from pydantic import ValidationError

from storage.base.errors import InvalidInput
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.verify import verify_version
from storage.forms.image import ImageSpec
from storage.forms.rules import SplitSpec
from storage.pipeline import preparing as prepare_module
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.sources.idx import IdxSource
from storage.sources.sklearn import SklearnSource
from tests.storage.dataset_material import assert_nothing_else
from tests.storage.deadly import MOMENTS, DeadlyClient
from tests.storage.sources.test_idx import make_idx, make_labels

DIGITS = ImageSpec(
    image={"shape": [1, 8, 8], "value_range": [0, 16]},
    labels=[str(digit) for digit in range(10)],
    split={"by": "hash", "held_out": 0.3, "validation": 0.1, "seed": 7},
)
SPLITS = ("train", "validation", "held_out")


def change(spec, **changes):
    return ImageSpec.model_validate({**spec.model_dump(), **changes})


def write_pairs(folder, images, labels, held_images=None, held_labels=None):
    folder.mkdir(exist_ok=True)
    (folder / "train-images-idx3-ubyte").write_bytes(make_idx(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(make_idx(labels))
    if held_images is not None:
        (folder / "t10k-images-idx3-ubyte").write_bytes(make_idx(held_images))
        (folder / "t10k-labels-idx1-ubyte").write_bytes(make_idx(held_labels))
    given = {} if held_images is not None else {"held_out": None}
    return IdxSource(url=str(folder), **given)


def make_noise(count, seed=0, dtype="u1"):
    return np.random.default_rng(seed).integers(0, 17, (count, 8, 8)).astype(dtype)


def is_same_set(left, right):
    return sorted(left.tolist()) == sorted(right.tolist())


@pytest.fixture
def workspace(tmp_path):
    return Store(str(tmp_path / "workspace"))


@pytest.fixture
def digits(workspace):
    return collect_rows(SklearnSource(), Dataset(workspace, "digits-raw"))


@pytest.fixture
def prepared(workspace):
    return Dataset(workspace, "digits-prepared")


def test_every_row_is_somewhere_once(digits, prepared):
    version = prepare_rows(digits, DIGITS, prepared)
    assert list(version.splits) == sorted(SPLITS)
    assert sum(version.splits.values()) == 1797
    assert is_same_set(version.read()["row_id"], digits.read()["row_id"])
    assert sum(version.info["fitted"]["dropped"].values()) == 0


def test_values_are_untouched(digits, prepared):
    raw, rows = digits.read(), prepare_rows(digits, DIGITS, prepared).read()
    order = np.argsort(raw["row_id"])[np.searchsorted(np.sort(raw["row_id"]), rows["row_id"])]
    for name, values in raw.items():
        assert rows[name].dtype == values.dtype
        np.testing.assert_array_equal(rows[name], values[order])


def test_splits_are_of_the_asked_size(digits, prepared):
    splits = prepare_rows(digits, DIGITS, prepared).splits
    assert splits["held_out"] / 1797 == pytest.approx(0.3, abs=0.03)
    assert splits["validation"] / (1797 - splits["held_out"]) == pytest.approx(0.1, abs=0.03)


def test_rows_are_shuffled(digits, prepared):
    version = prepare_rows(digits, DIGITS, prepared)
    train = version.read("train")
    # Neighbours of the source come apart, and every shard has all classes.
    position = {row: place for place, row in enumerate(digits.read()["row_id"].tolist())}
    places = np.array([position[row] for row in train["row_id"].tolist()])
    assert abs(np.corrcoef(places, np.arange(len(places)))[0, 1]) < 0.1
    assert sum(entry.split == "train" for entry in version.shards) >= 4
    for entry in version.iter_shards("train"):
        assert len(np.unique(version.read_shard(entry)["label"])) == 10


def test_fitted_statistics_are_those_of_the_training_split(digits, prepared):
    version = prepare_rows(digits, DIGITS, prepared)
    train, fitted = version.read("train"), version.info["fitted"]
    images = train["image"].astype(np.float64)
    assert fitted["rows"] == len(images)
    assert fitted["mean"] == pytest.approx([images.mean()], rel=1e-12)
    assert fitted["std"] == pytest.approx([images.std()], rel=1e-12)
    counts = np.bincount(train["label"], minlength=10)
    assert list(fitted["class_counts"].values()) == counts.tolist()
    assert fitted["class_weights"] == pytest.approx((len(images) / (10 * counts)).tolist())


def test_channels_are_fitted_apart(tmp_path, workspace, prepared):
    images = (
        np.random.default_rng(0).integers(0, 9, (400, 3, 4, 4)).astype("f4")
        + np.arange(3)[:, None, None] * 100
    )
    source = write_pairs(tmp_path / "idx", images.astype("f4"), make_labels(400))
    raw = collect_rows(source, Dataset(workspace, "raw"), target_shard_bytes=20_000)
    spec = change(DIGITS, image={"shape": [3, 4, 4], "dtype": "float32", "value_range": [0, 300]})
    version = prepare_rows(raw, spec, prepared)
    train = version.read("train")["image"].astype(np.float64)
    assert version.info["fitted"]["mean"] == pytest.approx(train.mean(axis=(0, 2, 3)).tolist())
    assert version.info["fitted"]["std"] == pytest.approx(train.std(axis=(0, 2, 3)).tolist())


def test_preparing_again_commits_nothing(digits, prepared):
    first, second = prepare_rows(digits, DIGITS, prepared), prepare_rows(digits, DIGITS, prepared)
    assert (first.number, first.digest) == (second.number, second.digest)
    assert dict(first.info["raw"]) == {
        "name": "digits-raw",
        "number": digits.number,
        "digest": digits.digest,
    }


def test_another_seed_makes_another_split(digits, prepared):
    first = prepare_rows(digits, DIGITS, prepared)
    second = prepare_rows(
        digits, change(DIGITS, split={**DIGITS.split.model_dump(), "seed": 8}), prepared
    )
    assert second.number == first.number + 1
    assert not is_same_set(first.read("held_out")["row_id"], second.read("held_out")["row_id"])


def test_neither_workers_nor_grouping_nor_raw_shards_change_the_shards(
    digits,
    prepared,
    tmp_path,
    client,
    monkeypatch,
):
    here = prepare_rows(digits, DIGITS, prepared)
    there = prepare_rows(
        digits, DIGITS, Dataset(Store(str(tmp_path / "there")), "digits-prepared"), client
    )
    assert there.manifest_digest == here.manifest_digest
    finer = collect_rows(
        SklearnSource(),
        Dataset(Store(str(tmp_path / "fine")), "digits-raw"),
        target_shard_bytes=9_000,
    )
    monkeypatch.setattr(prepare_module, "GROUP_BYTES", 30_000)
    again = prepare_rows(finer, DIGITS, Dataset(Store(str(tmp_path / "fine")), "digits-prepared"))
    assert again.manifest_digest == here.manifest_digest


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_killed_in_either_pass_leave_no_trace(
    digits, prepared, tmp_path, client, monkeypatch
):
    here = prepare_rows(digits, DIGITS, prepared)
    raw = collect_rows(SklearnSource(), digits.dataset, target_shard_bytes=30_000)
    monkeypatch.setattr(prepare_module, "GROUP_BYTES", 50_000)
    deadly = DeadlyClient(client, tmp_path / "deaths")
    other = Dataset(Store(str(tmp_path / "there")), "digits-prepared")
    there = prepare_rows(raw, DIGITS, other, deadly)
    passes = ("scatter_group", "gather_bucket")
    assert deadly.deaths == sorted((name, moment) for name in passes for moment in MOMENTS)
    assert there.manifest_digest == here.manifest_digest
    assert there.info["fitted"] == here.info["fitted"]
    assert_nothing_else(other)


def test_invalid_rows_are_dropped_and_counted(tmp_path, workspace, prepared):
    images, labels = make_noise(2000, dtype="f4"), make_labels(2000, "i2")
    images[3, 0, 0], images[4, 0, 0], images[5, 0, 0], images[6, 0, 0] = np.nan, 17, -1, np.inf
    labels[7], labels[8] = 10, -1
    labels[3] = 99
    raw = collect_rows(write_pairs(tmp_path / "idx", images, labels), Dataset(workspace, "raw"))
    spec = change(DIGITS, image={"shape": [1, 8, 8], "dtype": "float32", "value_range": [0, 16]})
    version = prepare_rows(raw, spec, prepared)
    assert version.info["fitted"]["dropped"]["invalid_features"] == 4
    assert version.info["fitted"]["dropped"]["invalid_label"] == 2
    assert version.rows == 1994
    assert np.isfinite(version.read()["image"]).all()
    gone = set(raw.read()["row_id"].tolist()) - set(version.read()["row_id"].tolist())
    assert gone == set(raw.read()["row_id"][3:9].tolist())


def test_duplicates_inside_a_split_are_dropped_and_the_first_is_kept(tmp_path, workspace, prepared):
    images = make_noise(2000)
    images[100:200] = images[:100]
    labels = make_labels(2000)
    labels[150] = (labels[50] + 1) % 10
    raw = collect_rows(
        write_pairs(tmp_path / "idx", images, labels),
        Dataset(workspace, "raw"),
        target_shard_bytes=8_000,
    )
    version = prepare_rows(raw, DIGITS, prepared)
    ids = raw.read()["row_id"]
    assert version.info["fitted"]["dropped"]["duplicate"] == 100
    assert version.info["fitted"]["label_conflicts"] == 1
    assert is_same_set(version.read()["row_id"], np.concatenate([ids[:100], ids[200:]]))


def test_duplicates_across_groups_are_found(tmp_path, workspace, prepared, monkeypatch):
    monkeypatch.setattr(prepare_module, "GROUP_BYTES", 10_000)
    test_duplicates_inside_a_split_are_dropped_and_the_first_is_kept(tmp_path, workspace, prepared)


def test_duplicates_can_stay_and_stay_on_one_side(tmp_path, workspace, prepared):
    images = make_noise(2000)
    images[1000:] = images[:1000]
    raw = collect_rows(
        write_pairs(tmp_path / "idx", images, make_labels(2000)), Dataset(workspace, "raw")
    )
    version = prepare_rows(raw, change(DIGITS, deduplicate=False), prepared)
    assert version.rows == 2000
    hashes = {
        split: {tuple(row) for row in version.read(split)["content_hash"].tolist()}
        for split in SPLITS
    }
    assert not hashes["train"] & hashes["held_out"]
    assert not hashes["train"] & hashes["validation"]


def test_a_row_in_two_splits_of_the_source_is_left_for_the_gate(tmp_path, workspace, prepared):
    train, held_out = make_noise(1000), make_noise(300, seed=1)
    train[17] = held_out[5]
    source = write_pairs(tmp_path / "idx", train, make_labels(1000), held_out, make_labels(300))
    raw = collect_rows(source, Dataset(workspace, "raw"))
    version = prepare_rows(raw, change(DIGITS, split={"by": "source", "validation": 0.1}), prepared)
    assert version.rows == 1300
    shared = {tuple(row) for row in version.read("held_out")["content_hash"].tolist()}
    both = {
        tuple(row)
        for split in ("train", "validation")
        for row in version.read(split)["content_hash"].tolist()
    }
    assert len(shared & both) == 1


def test_the_source_s_held_out_rows_stay_and_validation_is_carved_from_train(
    tmp_path, workspace, prepared
):
    source = write_pairs(
        tmp_path / "idx", make_noise(1000), make_labels(1000), make_noise(300, 1), make_labels(300)
    )
    raw = collect_rows(source, Dataset(workspace, "raw"))
    version = prepare_rows(raw, change(DIGITS, split={"by": "source", "validation": 0.2}), prepared)
    assert is_same_set(version.read("held_out")["row_id"], raw.read("held_out")["row_id"])
    trained = np.concatenate(
        [version.read("train")["row_id"], version.read("validation")["row_id"]]
    )
    assert is_same_set(trained, raw.read("train")["row_id"])
    assert version.splits["validation"] == pytest.approx(200, abs=50)


def test_a_source_without_splits_is_refused_with_the_remedy(digits, prepared):
    with pytest.raises(InvalidInput, match="by: hash"):
        prepare_rows(digits, change(DIGITS, split={"by": "source"}), prepared)


@pytest.mark.parametrize(
    ("image", "words"),
    [({"shape": [1, 28, 28]}, "(1, 8, 8)"), ({"shape": [1, 8, 8], "dtype": "float32"}, "uint8")],
)
def test_rows_that_are_not_what_the_recipe_says_are_refused(digits, prepared, image, words):
    with pytest.raises(InvalidInput) as caught:
        prepare_rows(digits, change(DIGITS, image=image), prepared)
    assert words in str(caught.value)
    assert prepared.latest() is None


def test_no_row_left_is_an_error_with_the_counts(digits, prepared):
    with pytest.raises(InvalidInput, match="'invalid_features': 1797"):
        prepare_rows(
            digits, change(DIGITS, image={"shape": [1, 8, 8], "value_range": [50, 60]}), prepared
        )


def test_conditions_filter_rows(digits, prepared):
    version = prepare_rows(
        digits, change(DIGITS, filter=[{"field": "label", "at_most": 4}]), prepared
    )
    assert set(np.unique(version.read()["label"])) == {0, 1, 2, 3, 4}
    assert version.info["fitted"]["dropped"]["filtered"] == 1797 - version.rows
    with pytest.raises(InvalidInput, match="label"):
        prepare_rows(digits, change(DIGITS, filter=[{"field": "speed", "at_most": 4}]), prepared)


def test_a_user_s_transform_is_applied(digits, prepared, tmp_path, monkeypatch):
    text = (
        "def keep_even(rows):\n    even = rows['label'] % 2 == 0\n    return {k: v[even] for k, v "
        "in rows.items()}\n\n\n"
        "def forget(rows):\n    return {'image': rows['image']}\n"
    )
    (tmp_path / "my_rows.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    version = prepare_rows(digits, change(DIGITS, transform="my_rows:keep_even"), prepared)
    assert set(np.unique(version.read()["label"])) == {0, 2, 4, 6, 8}
    assert version.info["fitted"]["dropped"]["transformed"] == 1797 - version.rows
    for wrong, words in [
        ("my_rows:nothing", "nothing"),
        ("my_rows:forget", "row_id"),
        ("no_such:thing", "no_such"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            prepare_rows(digits, change(DIGITS, transform=wrong), prepared)
    sys.modules.pop("my_rows")


def test_progress_is_told(digits, prepared):
    seen = []
    prepare_rows(
        digits, DIGITS, prepared, on_progress=lambda done, steps: seen.append((done, steps))
    )
    assert seen[-1][0] == seen[-1][1] == len(seen)


@pytest.mark.parametrize(
    "split",
    [
        {"by": "source", "held_out": 0.2},
        {"by": "hash"},
        {"by": "group", "held_out": 0.2},
        {"by": "hash", "held_out": 0.2, "end": "2020-01-01"},
        {"by": "hash", "held_out": 1.0},
        {"by": "hash", "held_out": float("nan")},
    ],
)
def test_impossible_splits_are_refused(split):
    with pytest.raises(ValidationError):
        SplitSpec.model_validate(split)


@pytest.mark.parametrize("workers", [False, True])
def test_a_bucket_is_as_good_as_a_folder(digits, prepared, s3_url, s3_options, request, workers):
    """The same shards, by the same workers or none, and nothing left of the scratch files."""
    client = request.getfixturevalue("client") if workers else None
    bucket = Store(f"{s3_url}/work", s3_options)
    raw = collect_rows(
        SklearnSource(), Dataset(bucket, "raw"), client, codec="lz4", target_shard_bytes=30_000
    )
    there = prepare_rows(raw, DIGITS, Dataset(bucket, "prepared"), client, codec="lz4")
    here = prepare_rows(digits, DIGITS, prepared, codec="lz4")
    assert there.manifest_digest == here.manifest_digest
    assert there.info["fitted"] == here.info["fitted"]
    assert verify_version(there) == []
    assert (
        there.dataset.files.child("scratch").list()
        == raw.dataset.files.child("scratch").list()
        == []
    )
