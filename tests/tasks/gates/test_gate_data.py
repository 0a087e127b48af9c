"""The gates on tables and series, from collected files to a report; and rows that are set aside."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gates.prepared.prepared_gate import judge_prepared
from gates.specs.drift import DriftGate
from gates.specs.prepared import PreparedGate
from gates.specs.raw import RawGate
from gates.specs.sections import GatesSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.records.receipt_files import write_receipt
from storage.records.receipts import CodeRecord, Receipt, SourceRecord
from storage.shards.reading import read_file
from storage.sources.csv import CsvSource
from storage.upkeep.quarantine import describe_rows, find_cleaned, read_quarantine, release_rows
from tasks.data.collect import describe_version
from tasks.gates.accepted import Accepted, find_accepted
from tasks.gates.by_hand import Rules, draft_by_hand, find_rules, judge_by_hand
from tasks.gates.prepared import describe_prepared
from tasks.gates.raw import gate_raw, judge_version
from tasks.gates.row_table import open_rows
from tasks.gates.set_aside import quarantine_rows
from tasks.runtime.outcomes import Collected, Prepared

TABLE = TableSpec(numbers=("heat", "load"), texts=("kind",), label="state", labels=("good", "bad"))
SERIES = SeriesSpec(
    numbers=("flow",),
    target="level",
    time="time",
    entity="mill",
    split=SplitSpec(by="time", held_out=0.2),
)
START = datetime(2024, 1, 1)


def make_table(seed=0, rows=1200):
    rng = np.random.default_rng(seed)
    heat = rng.normal(60, 5, rows).round(2)
    return {
        "heat": heat.astype(str),
        "load": (heat * 2 + rng.normal(0, 20, rows)).round(1).astype(str),
        "kind": rng.choice(["north", "south"], rows),
        "state": np.where(rng.random(rows) < 0.2, "bad", "good"),
    }


def make_series(seed=0, rows=600):
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    level = (10 + 3 * np.sin(hours * np.pi / 12) + rng.normal(0, 0.5, rows)).round(3)
    moments = [(START + timedelta(hours=int(hour))).isoformat() for hour in hours]
    parts = {"mill": ["a"] * rows + ["b"] * rows, "time": moments * 2}
    flow = rng.normal(5, 1, 2 * rows).round(3)
    return {
        "flow": flow.astype(str),
        "level": np.concatenate([level, level + 1]).astype(str),
        **{name: np.array(values) for name, values in parts.items()},
    }


def collect(folder, columns, spec, name="mills-raw", raw_lines=()):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        ",".join(columns),
        *(",".join(row) for row in zip(*columns.values(), strict=True)),
        *raw_lines,
    ]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return collect_rows(CsvSource(url=str(folder)), Dataset(Store(folder.parent), name), spec=spec)


def judge(version, spec, **raw):
    return judge_version(version, spec, GatesSpec(raw=RawGate(**raw)))


def find_red(report):
    return {check.about for check in report.checks if check.stops}


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
        ("heat", slice(0, 400), "n.a.", "missing share of a column"),
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


def prepare(raw, spec):
    dataset = Dataset(raw.dataset.workspace, "mills-prepared")
    version = prepare_rows(find_cleaned(raw), spec, dataset)
    collected = Collected(source=SourceRecord(type="csv", digest=""), dataset=describe_version(raw))
    fitted = Fitted.model_validate(version.info["fitted"])
    return describe_prepared(
        version, collected, Prepared(dataset=describe_version(version), fitted=fitted), spec
    )


def test_prepared_tables_and_series_pass_and_a_window_that_crosses_time_does_not(tmp_path):
    limits = PreparedGate()
    assert not find_red(
        judge_prepared(limits, prepare(collect(tmp_path / "t", make_table(), TABLE), TABLE))
    )
    raw = collect(tmp_path / "s", make_series(), SERIES)
    assert not find_red(judge_prepared(limits, prepare(raw, SERIES)))
    torn = SERIES.model_copy(update={"split": SplitSpec(by="hash", held_out=0.2)})
    report = judge_prepared(limits, prepare(raw, torn))
    assert "rows of a series that lie in time among held-out rows of it" in find_red(report)
    assert any("among validation rows" in warning for warning in report.warnings)


def test_a_change_since_the_accepted_version_stops_and_may_be_allowed(tmp_path):
    accepted = Accepted(collect(tmp_path / "a", make_table(), TABLE))
    current = collect(tmp_path / "b", make_table(1), TABLE)
    assert not find_red(judge_version(current, TABLE, GatesSpec(), accepted))
    warm = make_table(2)
    warm["heat"] = (warm["heat"].astype(float) * 1.8 + 32).round(2).astype(str)
    changed = collect(tmp_path / "c", warm, TABLE)
    report = judge_version(changed, TABLE, GatesSpec(), accepted)
    assert all(about.startswith("heat") or "correlation" in about for about in find_red(report))
    assert any("Kolmogorov-Smirnov" in reason for reason in report.reasons)
    for drift in (
        DriftGate(enabled=False),
        DriftGate(ignore=("heat*",)),
        DriftGate(on_fail={"*": "warn"}),
    ):
        assert judge_version(changed, TABLE, GatesSpec(drift=drift), accepted).passed


def write_run(store, raw, passed, spec=TABLE, minutes=0):
    gates = [
        {"stage": stage, "passed": passed.get(stage, True)}
        for stage in ("raw", "prepared", "model")
    ]
    document = {"kind": "tabular-classification", "data": spec.model_dump(mode="json"), "gates": {}}
    receipt = Receipt(
        run=f"run-{minutes}",
        flow="lifecycle",
        required_gates=("raw", "prepared", "model", "artifact"),
        status="promoted",
        created_at=datetime.now(UTC) + timedelta(minutes=minutes),
        lepton=CodeRecord(version="0", digest=""),
        packages={},
        machine={},
        recipe={"name": "mills", "document": document},
        datasets={"raw": describe_version(raw)},
        gates=gates,
    )
    write_receipt(store, receipt, lambda content: {"keyid": "k", "method": "none", "signature": ""})


def test_the_accepted_version_is_the_newest_one_whose_gates_were_all_green(tmp_path):
    store = Store(tmp_path)
    first, second, third = (
        collect(tmp_path / str(seed), make_table(seed), TABLE) for seed in range(3)
    )
    assert find_accepted(store, third, TABLE).reason == "no version has been accepted yet"
    write_run(store, first, {}, minutes=0)
    write_run(store, second, {"model": False}, minutes=1)
    write_run(store, second, {"raw": False}, minutes=2)
    assert find_accepted(store, third, TABLE).version == first
    assert "itself was accepted" in find_accepted(store, first, TABLE).reason
    other = TABLE.model_copy(update={"missing": ("-",)})
    assert "data section has changed" in find_accepted(store, third, other).reason


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


def test_a_drafted_suite_passes_what_it_was_drafted_from_and_stops_what_differs(tmp_path):
    store, raw = Store(tmp_path), collect(tmp_path / "t", make_table(), TABLE)
    write_run(store, raw, {})
    suite = tmp_path / "suite.json"
    suite.write_text(json.dumps(draft_by_hand(store, "mills", TABLE)))
    rules = find_rules(store, "mills-raw")
    assert rules == Rules(TABLE, GatesSpec())
    assert judge_by_hand(store, raw, rules, [str(suite)]).passed
    hot = make_table(3)
    hot["heat"][7] = "500"
    report = judge_by_hand(store, collect(tmp_path / "h", hot, TABLE), rules, [str(suite)])
    assert "source rows.csv:7" in " ".join(report.reasons)


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
