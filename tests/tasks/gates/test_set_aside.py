"""Rows that own expectations set aside."""

from gates.prepared.prepared_gate import judge_prepared
from gates.specs.prepared import PreparedGate
from gates.specs.raw import RawGate
from gates.specs.sections import GatesSpec
from storage.upkeep.quarantine import describe_rows, read_quarantine, release_rows
from tasks.gates.raw import judge_version
from tasks.gates.set_aside import quarantine_rows
from tests.tasks.gates.mills import TABLE, collect, find_red, make_table, prepare


def test_few_bad_rows_are_set_aside_and_many_stop(tmp_path):
    columns = make_table()
    columns["heat"][[5, 700]] = "999"
    raw = collect(tmp_path / "t", columns, TABLE)
    few = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "heat", "max_value": 200},
    }
    limits = RawGate.model_validate(
        {"expectations": [{**few, "on_fail": {"quarantine": {"max_fraction": 0.01}}}]}
    )
    report = judge_version(raw, TABLE, GatesSpec(raw=limits))
    assert report.passed
    assert "source rows.csv:5" in report.warnings[0]
    assert quarantine_rows(raw, TABLE, limits, report) == 2
    listed = describe_rows(read_quarantine(raw.dataset.workspace, raw.name))
    assert [row["source"] for row in listed] == ["rows.csv:5", "rows.csv:700"]
    assert "expect_column_values_to_be_between on heat" in listed[0]["reason"]
    assert not find_red(
        judge_prepared(PreparedGate(), prepare(raw, TABLE))
    )  # every row is accounted for
    release_rows(raw.dataset.workspace, raw.name, [int(listed[0]["row_id"], 0)])
    again = raw.dataset.replace(raw.shards, kind="raw")
    assert quarantine_rows(again, TABLE, limits, report) == 1
    tight = RawGate.model_validate(
        {"expectations": [{**few, "on_fail": {"quarantine": {"max_fraction": 0.001}}}]}
    )
    assert not judge_version(raw, TABLE, GatesSpec(raw=tight)).passed
