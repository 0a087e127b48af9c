"""Conditions meet what is meant, or are refused; rows without a split's key are in no split."""

import numpy as np
import pytest
from pydantic import ValidationError

from storage.base.errors import InvalidInput
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.rules import Condition
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.conditions import meets_condition
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource

TABLE = {
    "kind": "table",
    "numbers": ["x", "n"],
    "texts": ["pay type"],
    "label": "y",
    "labels": ["a", "b"],
    "time": "t",
}
SPEC = TableSpec.model_validate(TABLE)
ROWS = [
    f"{row},{'' if row % 10 == 9 else row / 10},{['3', 'x', ''][row % 3]},{'ab'[row % 2]},"
    f"2024-01-01T00:{row // 60:02}:{row % 60:02}"
    for row in range(400)
]


def write(folder, rows, header="x,n,pay type,y,t"):
    (folder / "d.csv").write_text("\n".join([header, *rows]) + "\n")
    return CsvSource(url=str(folder / "d.csv"))


def prepare(folder, spec, rows=ROWS, **options):
    store = Store(str(folder / "workspace"))
    raw = collect_rows(write(folder, rows, **options), Dataset(store, "raw"), spec=spec)
    return prepare_rows(raw, spec, Dataset(store, "prepared"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    store = Store(str(folder / "workspace"))
    version = collect_rows(write(folder, ROWS), Dataset(store, "raw"), spec=SPEC)
    return version.read(), {field.name: field.columns for field in version.fields if field.columns}


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"field": "pay type", "none_of": ["3"]}, lambda row: row % 3 == 1),
        ({"field": "pay type", "one_of": ["3", "x"]}, lambda row: row % 3 != 2),
        ({"field": "x", "none_of": [7]}, lambda row: row != 7),
        ({"field": "n", "one_of": [0.1, 0.2]}, lambda row: row in (1, 2)),
        ({"field": "n", "at_least": 1}, lambda row: row >= 10 and row % 10 != 9),
        ({"field": "label", "none_of": ["b"]}, lambda row: row % 2 == 0),
        ({"field": "y", "one_of": ["b"]}, lambda row: row % 2 == 1),
        ({"field": "label", "one_of": [1]}, lambda row: row % 2 == 1),
    ],
)
def test_a_condition_meets_what_it_names(raw, rule, kept):
    rows, columns = raw
    found = meets_condition(rows, Condition.model_validate(rule), SPEC, columns)
    order = np.argsort(rows["numbers"][:, 0])
    assert found[order].tolist() == [kept(row) for row in range(400)]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"field": "pay type", "none_of": [3]}, r"hold texts.*got a number; put it in quotes"),
        ({"field": "pay type", "one_of": ["x", 3]}, "hold texts"),
        ({"field": "pay type", "at_least": 2}, "be of numbers"),
        ({"field": "x", "none_of": ["7"]}, r"hold numbers.*got a text; write a number"),
        ({"field": "t", "one_of": ["2024-01-01"]}, "hold numbers"),
        ({"field": "y", "none_of": ["c"]}, "choose among a, b"),
        ({"field": "z", "none_of": ["c"]}, "got no such field"),
    ],
)
def test_a_condition_that_could_meet_nothing_is_refused(raw, rule, said):
    with pytest.raises(InvalidInput, match=said):
        meets_condition(raw[0], Condition.model_validate(rule), SPEC, raw[1])


@pytest.mark.parametrize(
    "rule",
    [
        {"at_least": 5, "at_most": 3},
        {"one_of": []},
        {"none_of": []},
        {"one_of": ["a", "b"], "none_of": ["a", "b", "c"]},
        {"one_of": [1, 2], "at_least": 3},
        {"one_of": ["a"], "at_most": 3},
    ],
)
def test_a_condition_that_contradicts_itself_is_refused(rule):
    with pytest.raises(ValidationError, match="that a row can meet"):
        Condition.model_validate({"field": "x", **rule})
    Condition.model_validate({"field": "x", "one_of": [1, 2], "none_of": [1], "at_least": 2})


@pytest.mark.parametrize(
    ("split", "keyless"),
    [
        ({"by": "time", "field": "n", "held_out": 0.3}, lambda row: row % 10 == 9),
        ({"by": "group", "field": "pay type", "held_out": 0.5}, lambda row: row % 3 == 2),
        ({"by": "group", "field": "n", "held_out": 0.5}, lambda row: row % 10 == 9),
        ({"by": "time", "held_out": 0.3}, lambda row: False),
        ({"by": "hash", "held_out": 0.3}, lambda row: False),
    ],
    ids=["time by a number", "group of texts", "group of numbers", "time", "hash"],
)
def test_rows_without_what_they_are_split_by_are_in_no_split(tmp_path, split, keyless):
    version = prepare(tmp_path, TableSpec.model_validate({**TABLE, "split": split}))
    wanted = [row for row in range(400) if not keyless(row)]
    assert sorted(version.read()["numbers"][:, 0].tolist()) == wanted
    counted = {"no_split_key": 400 - len(wanted)} if len(wanted) < 400 else {}
    found = version.info["fitted"]["dropped"]
    assert {name: count for name, count in found.items() if count} == counted
    assert ("no_split_key" in found) == bool(counted)


def test_series_without_an_entity_are_in_no_split_by_entity(tmp_path):
    spec = SeriesSpec.model_validate(
        {
            "kind": "series",
            "numbers": ["x"],
            "time": "t",
            "entity": "e",
            "split": {"by": "entity", "held_out": 0.4},
        }
    )
    rows = [
        f"{row},2024-01-{1 + row // 10:02}T00:00:00,{'' if row % 10 == 9 else row % 10}"
        for row in range(200)
    ]
    version = prepare(tmp_path, spec, rows, header="x,t,e")
    assert version.rows == 180
    assert version.info["fitted"]["dropped"]["no_split_key"] == 20


@pytest.mark.parametrize("deduplicate", [True, False])
def test_equal_rows_of_contrary_labels_are_counted(tmp_path, deduplicate):
    rows = [f"{row},1,x,{'ab'[row % 2]},2024-01-01" for row in range(400)]
    rows += [f"{row},1,x,{'ba'[row % 2]},2024-01-01" for row in range(36)]
    spec = TableSpec.model_validate({**TABLE, "deduplicate": deduplicate})
    fitted = prepare(tmp_path, spec, rows).info["fitted"]
    assert fitted["label_conflicts"] == 36
    assert fitted["dropped"]["duplicate"] == (36 if deduplicate else 0)


def test_a_split_by_the_time_of_a_text_is_refused(tmp_path):
    split = {"by": "time", "field": "pay type", "held_out": 0.3}
    with pytest.raises(InvalidInput, match="must go by a time or a number; got texts"):
        prepare(tmp_path, TableSpec.model_validate({**TABLE, "split": split}))
