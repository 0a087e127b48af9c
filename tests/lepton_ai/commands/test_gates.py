"""`lepton gates` and `lepton quarantine` on versions that a run made."""

import json

import pytest

from storage.base.store import Store
from storage.upkeep.quarantine import set_aside
from tests.flows.material import call
from tests.tasks.gates.mills import TABLE, collect, make_table, write_run


@pytest.fixture
def workspace(tmp_path):
    """A workspace with an accepted version of a table, and a later one with one absurd value."""
    write_run(Store(tmp_path), collect(tmp_path / "a", make_table(), TABLE), {})
    columns = make_table(1)
    columns["heat"][7] = "500"
    collect(tmp_path / "b", columns, TABLE)
    return tmp_path


def test_a_version_is_judged_by_hand_and_by_a_suite_of_ones_own(workspace):
    done = call("gates", "run", "mills-raw@0", "--workspace", str(workspace), "--json")
    assert done.status == 0, done.messages
    assert json.loads(done.out)["passed"]
    suite = workspace / "suite.json"
    item = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "heat", "max_value": 200},
    }
    suite.write_text(json.dumps({"expectations": [item]}))
    done = call("gates", "run", "mills-raw", "--suite", str(suite), "--workspace", str(workspace))
    assert done.status == 3
    assert "source rows.csv:7" in done.messages
    suite.write_text("{")
    done = call("gates", "run", "mills-raw", "--suite", str(suite), "--workspace", str(workspace))
    assert done.status == 2
    assert "must be Great Expectations' JSON" in done.messages
    assert call("gates", "run", "other-raw", "--workspace", str(workspace)).status == 1


def test_a_suite_is_drafted_for_a_recipe_that_is_known(workspace, tmp_path):
    done = call("gates", "draft", "no-such-recipe", "--workspace", str(workspace))
    assert done.status == 2
    assert "known recipe" in done.messages
    assert (
        call("gates", "draft", "digits", "--workspace", str(workspace)).status == 1
    )  # nothing was collected yet


def test_rows_in_quarantine_are_listed_shown_and_released(workspace):
    from storage.datasets.dataset import Dataset

    raw = Dataset(Store(workspace), "mills-raw").open()
    row = int(raw.read(fields=["row_id"])["row_id"][7])
    where = ("--workspace", str(workspace))
    assert call("quarantine", "list", "mills", *where).status == 1
    assert "no rows were ever set aside" in call("quarantine", "list", *where).messages
    set_aside(raw, {row: "too hot"})
    assert call("quarantine", "list", *where).out == "mills-raw  1 rows\n"
    assert json.loads(call("quarantine", "list", "--json", *where).out) == {
        "dataset": "mills-raw",
        "rows": 1,
    }
    listed = call("quarantine", "list", "mills", "--json", *where)
    assert json.loads(listed.out)["reason"] == "too hot"
    assert "rows.csv:7  too hot" in call("quarantine", "list", "mills-raw", *where).out
    shown = json.loads(call("quarantine", "show", "mills", hex(row), *where).out)
    assert shown["numbers"][0] == 500
    assert call("quarantine", "show", "mills", "5", *where).status == 1
    assert call("quarantine", "release", "mills", "five", *where).status == 2
    assert call("quarantine", "release", "mills", hex(row), *where).status == 0
    assert call("quarantine", "list", "mills", *where).out == ""
