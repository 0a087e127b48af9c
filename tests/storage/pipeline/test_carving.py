"""Carving: what belongs together stays together, and no split of few groups is empty."""

from collections import defaultdict

import numpy as np
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.carving import find_shares
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.pipeline.splits import HELD_OUT, TRAIN, VALIDATION, split_by_hash
from storage.shards.row_ids import hash_contents
from storage.sources.csv import CsvSource
from storage.stream.stream import Stream
from storage.stream.windows import Window


def write_runs(path, entities, rows):
    lines = ["entity,day,value"]
    for entity in entities:
        lines += [f"{entity},{np.datetime64('2024-01-01') + n},{n % 7}" for n in range(rows)]
    path.write_text("\n".join(lines) + "\n")


def prepare(folder, spec, given=("train", "held_out")):
    source = CsvSource(url=str(folder), splits={split: f"{split}.csv" for split in given})
    store = Store(str(folder / "workspace"))
    raw = collect_rows(source, Dataset(store, "raw"), spec=spec)
    return prepare_rows(raw, spec, Dataset(store, "prepared"))


def list_sides(version, field):
    """Splits of each value of a field."""
    sides = defaultdict(set)
    for entry in version.iter_shards():
        for value in version.read_shard(entry, (field,))[field].tolist():
            sides[value].add(entry.split)
    return sides


def make_spec(**changes):
    given = {"numbers": ["value"], "time": "day", "entity": "entity"}
    return SeriesSpec.model_validate(
        given | {"split": {"by": "source", "validation": 0.2}, **changes}
    )


@pytest.mark.parametrize("seed", range(3))
def test_entities_of_a_source_s_training_rows_validate_whole(tmp_path, seed):
    write_runs(tmp_path / "train.csv", range(12), 40)
    write_runs(tmp_path / "held_out.csv", range(100, 103), 40)
    spec = make_spec(split={"by": "source", "validation": 0.2, "seed": seed})
    version = prepare(tmp_path, spec)
    sides = list_sides(version, "series_id")
    assert all(len(found) == 1 for found in sides.values())
    carved = [found for found in sides.values() if found == {"validation"}]
    assert 1 <= len(carved) <= 7
    stream = Stream(version, "validation", batch_size=1, window=Window(lookback=40), shuffle=False)
    assert len(stream) == len(carved)


def test_of_one_entity_the_last_training_rows_validate(tmp_path):
    write_runs(tmp_path / "train.csv", ["a"], 100)
    write_runs(tmp_path / "held_out.csv", ["b"], 30)
    version = prepare(tmp_path, make_spec())
    times = {
        split: np.concatenate(
            [version.read_shard(entry, ("time",))["time"] for entry in version.iter_shards(split)]
        )
        for split in ("train", "validation")
    }
    assert (len(times["train"]), len(times["validation"])) == (80, 20)
    assert times["train"].max() < times["validation"].min()


def test_validation_rows_of_the_source_are_left_as_they_are(tmp_path):
    for name, entities in (("train", range(5)), ("validation", [7]), ("held_out", [8])):
        write_runs(tmp_path / f"{name}.csv", entities, 20)
    version = prepare(tmp_path, make_spec(), ("train", "validation", "held_out"))
    assert version.splits == {"held_out": 20, "train": 100, "validation": 20}


def test_groups_that_are_named_validate_whole(tmp_path):
    for name, people in (("train", range(20)), ("held_out", range(30, 33))):
        lines = [f"{person},{n},{(n + person) % 2}" for person in people for n in range(9)]
        (tmp_path / f"{name}.csv").write_text("person,x,y\n" + "\n".join(lines) + "\n")
    given = {"numbers": ["x"], "metadata": ["person"], "label": "y", "labels": ["0", "1"]}
    split = {"by": "source", "validation": 0.3, "field": "person"}
    version = prepare(tmp_path, TableSpec(**given, split=split, deduplicate=False))
    sides = list_sides(version, "person")
    assert all(len(found) == 1 for found in sides.values())
    assert {"validation"} in sides.values()


@pytest.mark.parametrize("groups", [3, 4, 5, 8])
def test_no_split_of_few_groups_is_empty(groups):
    """Where draws fill all splits, they stay as they are."""
    changed = 0
    for seed in range(60):
        spec = SplitSpec(by="entity", held_out=0.2, validation=0.15, seed=seed)
        keys = hash_contents({"group": np.arange(groups)})
        shares = find_shares([(keys[:2], None), (keys[2:], None)], spec)
        plain = split_by_hash(keys, "", spec, validation_given=False)
        splits = split_by_hash(keys, "", spec, validation_given=False, shares=shares)
        full = {TRAIN, VALIDATION, HELD_OUT}
        if set(plain.tolist()) == full:
            assert (splits == plain).all()
        changed += not (splits == plain).all()
        assert set(splits.tolist()) == full
    assert changed


@pytest.mark.parametrize("validation", [0.0, 0.6])
def test_of_two_groups_one_is_held_out_and_one_is_learned_from(validation):
    for seed in range(40):
        spec = SplitSpec(by="entity", held_out=0.5, validation=validation, seed=seed)
        keys = hash_contents({"group": np.arange(2)})
        shares = find_shares([(keys, None)], spec)
        splits = split_by_hash(keys, "", spec, validation_given=False, shares=shares)
        assert set(splits.tolist()) == {TRAIN, HELD_OUT}


@pytest.mark.parametrize("groups", [2, 3, 5, 7])
def test_of_few_groups_of_a_source_some_validate_and_some_are_learned_from(groups):
    for seed in range(200):
        spec = SplitSpec(by="source", field="person", validation=0.5, seed=seed)
        keys = hash_contents({"group": np.arange(groups)})
        shares = find_shares([(keys, None)], spec)
        splits = split_by_hash(keys, "train", spec, validation_given=False, shares=shares)
        assert set(splits.tolist()) == {TRAIN, VALIDATION}
        # The one whose draw is nearest goes over, and no other.
        plain = split_by_hash(keys, "train", spec, validation_given=False)
        assert (splits != plain).sum() == (len(set(plain.tolist())) == 1)


def test_the_only_group_is_learned_from() -> None:
    for seed in range(20):
        spec = SplitSpec(by="entity", held_out=0.01, validation=0.01, seed=seed)
        keys = hash_contents({"group": np.zeros(9)})
        plain = split_by_hash(keys, "", spec, validation_given=False)
        shares = find_shares([(keys, None)], spec)
        splits = split_by_hash(keys, "", spec, validation_given=False, shares=shares)
        assert (splits == plain).all()
