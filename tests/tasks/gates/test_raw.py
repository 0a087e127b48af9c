"""The raw gate on tables and series, from collected files to a report."""

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pytest

from gates.specs.sections import GatesSpec
from storage.records.receipts import SourceRecord
from storage.shards.reading import read_file
from storage.upkeep.quarantine import find_cleaned
from tasks.data.collect import describe_version
from tasks.gates.accepted import Accepted
from tasks.gates.raw import gate_raw, judge_version
from tasks.gates.row_table import open_rows
from tasks.runtime.outcomes import Collected
from tests.tasks.gates.mills import (
    SERIES,
    START,
    TABLE,
    collect,
    find_red,
    judge,
    make_series,
    make_table,
)


def test_a_good_table_and_good_series_pass(tmp_path):
    assert not find_red(judge(collect(tmp_path / "t", make_table(), TABLE), TABLE))
    assert not find_red(judge(collect(tmp_path / "s", make_series(), SERIES, "flows-raw"), SERIES))


def test_the_raw_gate_of_a_table_reads_each_column_once_and_no_ids(tmp_path, monkeypatch):
    version = collect(tmp_path / "t", make_table(), TABLE)
    reads = Counter()

    def count(shards, entry, path, **more):
        reads[path.split("/")[0]] += 1
        return read_file(shards, entry, path, **more)

    monkeypatch.setattr("storage.shards.reading.read_file", count)
    assert not find_red(judge(version, TABLE))
    columns = {field.name for field in version.fields} - {"row_id"}
    assert reads == dict.fromkeys(columns, len(version.shards))


@pytest.mark.parametrize(
    ("column", "rows", "value", "about"),
    [
        ("heat", slice(0, 400), "", "missing share of a column"),
        ("heat", slice(0, 400), "n.a.", "unreadable values of a column, fraction"),
        ("heat", slice(3, 4), "inf", "infinite share of a column"),
        ("state", slice(0, 100), "", "missing share of the label or target"),
        ("state", slice(0, 1), "goood", "labels that are not declared, fraction"),
        ("state", slice(None), "good", "rows of a class"),
    ],
)
def test_a_fault_in_a_column_is_named(tmp_path, column, rows, value, about):
    columns = make_table()
    column_values = columns[column].astype(object)
    column_values[rows] = value
    report = judge(
        collect(tmp_path / "t", {**columns, column: column_values.astype(str)}, TABLE), TABLE
    )
    assert about in find_red(report)
    if value == "goood":
        assert "data.labels lacks 'goood': add it, or mend the source" in report.reasons[0]
    if about in ("missing share of a column", "missing share of the label or target"):
        assert f"; column {column}" in report.reasons[0]
        assert " more" not in report.reasons[0]


def test_unread_records_duplicates_and_a_column_that_is_the_answer_stop(tmp_path):
    columns = make_table()
    report = judge(collect(tmp_path / "a", columns, TABLE, raw_lines=["1,2,3,4,5,6,7"]), TABLE)
    assert "unread records, fraction" in find_red(report)
    told = next(
        check.message for check in report.checks if check.about == "unread records, fraction"
    )
    assert "; rows.csv" in told
    twice = {name: np.tile(values[:300], 4) for name, values in columns.items()}
    assert "duplicate fraction" in find_red(judge(collect(tmp_path / "b", twice, TABLE), TABLE))
    leak = {**columns, "load": np.where(columns["state"] == "bad", "7.5", "3.5")}
    report = judge(collect(tmp_path / "c", leak, TABLE), TABLE)
    assert find_red(report) == {"strength of the strongest single predictor"}
    assert "column load" in report.reasons[0]


def hash_hour(moment):
    """Another minute for each hour, in no order, and no hour of any other row."""
    return (moment - START).total_seconds() / 3600 * 7919 % 100_003 + 1_000_001


def spoil_times(columns, rows, change):
    times = columns["time"].astype(object)
    times[rows] = [change(datetime.fromisoformat(text)) for text in times[rows]]
    return {**columns, "time": times.astype(str)}


@pytest.mark.parametrize(
    ("change", "about"),
    [
        (lambda moment: "yesterday", "rows without a time, fraction"),
        (lambda moment: "2024-02-30", "unreadable values of a column, fraction"),
        (lambda moment: START.isoformat(), "rows with entity and time of another, fraction"),
        (
            lambda moment: (moment + timedelta(days=36500)).isoformat(),
            "rows in the future, fraction",
        ),
        (
            lambda moment: (START + timedelta(minutes=hash_hour(moment))).isoformat(),
            "rows out of order in time, fraction",
        ),
    ],
)
def test_a_fault_in_time_is_named(tmp_path, change, about):
    columns = spoil_times(make_series(), slice(100, 400), change)
    assert about in find_red(judge(collect(tmp_path / "s", columns, SERIES), SERIES))


def test_a_column_that_is_the_target_some_hours_later_stops(tmp_path):
    columns = make_series()
    columns["flow"] = np.roll(columns["level"], -3)
    report = judge(collect(tmp_path / "s", columns, SERIES), SERIES)
    assert find_red(report) == {"strength of the strongest single predictor"}


# The one Dask cluster of the suite stands in the process that has the Prefect server.
@pytest.mark.xdist_group("prefect")
def test_rows_are_judged_on_workers_as_they_are_here(tmp_path, dask_scheduler, monkeypatch):
    monkeypatch.setattr("tasks.gates.row_table.FEWEST_ROWS", 1)
    columns = make_table()
    columns["heat"][5] = "999"
    raw = collect(tmp_path / "t", columns, TABLE)
    own = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "heat", "max_value": 200},
    }
    limits = GatesSpec.model_validate({"raw": {"expectations": [own]}})
    collected = Collected(source=SourceRecord(type="csv", digest=""), dataset=describe_version(raw))
    here = judge_version(raw, TABLE, limits, Accepted(None, "first"))
    stopped = gate_raw.fn(str(tmp_path), collected, TABLE, limits, dask_scheduler)
    assert stopped.data.report.checks[: len(here.checks) - 1] == here.checks[:-1]
    assert stopped.data.report.reasons == here.reasons
    assert open_rows(raw, TABLE).columns[:5] == ("row_id", "source", "heat", "load", "kind")


def test_the_raw_gate_itself_sets_rows_aside_when_it_is_green(tmp_path):
    columns = make_table()
    columns["heat"][5] = "999"
    raw = collect(tmp_path / "t", columns, TABLE)
    own = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "heat", "max_value": 200},
    }
    limits = GatesSpec.model_validate(
        {"raw": {"expectations": [{**own, "on_fail": {"quarantine": {"max_fraction": 0.01}}}]}}
    )
    collected = Collected(source=SourceRecord(type="csv", digest=""), dataset=describe_version(raw))
    report = gate_raw.fn(str(tmp_path), collected, TABLE, limits)
    assert report.passed
    assert "999" in report.warnings[0]
    assert find_cleaned(raw).rows == raw.rows - 1


def test_values_that_cannot_be_read_are_told_from_missing_ones(tmp_path):
    """A sixth of a column, which as missing values would have passed."""
    columns = make_table()
    texts = columns["load"].astype(object)
    texts[::24], texts[1::24], texts[2::24], texts[3::24] = '"1,234.5"', "ERR", "1.5%", "$7"
    report = judge(collect(tmp_path / "t", {**columns, "load": texts.astype(str)}, TABLE), TABLE)
    assert find_red(report) == {"unreadable values of a column, fraction"}
    (reason,) = report.reasons
    for words in (
        "load has '1,234.5' at rows.csv line 2, 'ERR' at rows.csv line 3, ",
        "a percent sign: write the number alone",
        "name texts that mean that there is no value in data.missing",
        "raise max_unreadable_fraction to 0.167",
    ):
        assert words in reason


def test_numbers_with_a_decimal_comma_are_named_as_such(tmp_path):
    texts = np.array([f'"{number},5"' for number in range(1200)])
    report = judge(collect(tmp_path / "t", {**make_table(), "load": texts}, TABLE), TABLE)
    assert "a decimal comma: write a decimal point" in report.reasons[0]


def test_a_row_of_units_and_a_header_in_the_middle_stop(tmp_path):
    columns = make_table()
    units = {name: np.append("-", values) for name, values in columns.items()}
    report = judge(collect(tmp_path / "u", units, TABLE), TABLE)
    assert "heat has '-' at rows.csv line 2; load has '-' at rows.csv line 2" in report.reasons[0]
    again = collect(tmp_path / "h", columns, TABLE, raw_lines=[",".join(columns)])
    report = judge(again, TABLE)
    assert find_red(report) == {"unread records, fraction"}
    assert "rows.csv line 1202 repeats the header" in report.reasons[0]
