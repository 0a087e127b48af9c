"""Rows that the raw gate's default checks are about: set aside where they are few, and the run
stops where they are not.
"""

import numpy as np
import pytest

from gates.prepared.prepared_gate import judge_prepared
from gates.specs.prepared import PreparedGate
from gates.specs.sections import GatesSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.image import ImageSpec
from storage.pipeline.collecting import collect_rows
from storage.records.receipts import SourceRecord
from storage.shards.entry import Span
from storage.shards.row_ids import hash_contents
from storage.shards.writing import write_shard
from storage.sources.csv import CsvSource
from storage.upkeep.quarantine import describe_rows, find_cleaned, read_quarantine, release_rows
from tasks.data.collect import describe_version
from tasks.gates.accepted import Accepted
from tasks.gates.raw import gate_raw, judge_version
from tasks.gates.set_aside import quarantine_rows
from tasks.runtime.outcomes import Collected
from tests.tasks.gates.mills import (
    SERIES,
    TABLE,
    collect,
    find_red,
    make_series,
    make_table,
    prepare,
)

STRICT = {
    "max_missing_fraction": 0,
    "max_unanswered_fraction": 0,
    "max_duplicate_fraction": 0,
    "max_repeated_time_fraction": 0,
    "max_unsorted_fraction": 1,
    "max_gap_fraction": 1,
}
TABLE_FAULTS = {
    "missing share of a column": ("heat", [3], ""),
    "infinite share of a column": ("load", [10], "inf"),
    "missing share of the label or target": ("state", [20], ""),
    "labels that are not declared, fraction": ("state", [30], "goood"),
    "duplicate fraction": (None, [41], 40),
}
SERIES_FAULTS = {
    "rows without a time, fraction": ("time", [7], "9999-12-31T00:00:00"),
    "rows in the future, fraction": ("time", [9], "2199-01-01T00:00:00"),
    "rows with entity and time of another, fraction": ("time", [101], "2024-01-01T00:00:00"),
}


def spoil(columns, faults):
    columns = {name: values.astype(object) for name, values in columns.items()}
    for column, rows, value in faults.values():
        for row in rows:
            for name in [column] if column else columns:
                columns[name][row] = value if column else columns[name][value]
    return {name: values.astype(str) for name, values in columns.items()}


def make_limits(names, most=0.01, **raw):
    on_fail = {name: {"quarantine": {"max_fraction": most}} for name in names}
    return GatesSpec.model_validate({"raw": {**STRICT, **raw, "on_fail": on_fail}})


def list_quarantined(version):
    return describe_rows(read_quarantine(version.dataset.workspace, version.name))


@pytest.mark.parametrize(
    ("make", "spec", "faults"),
    [(make_table, TABLE, TABLE_FAULTS), (make_series, SERIES, SERIES_FAULTS)],
)
def test_rows_of_columns_are_set_aside_for_what_is_wrong_with_them(tmp_path, make, spec, faults):
    raw = collect(tmp_path / "t", spoil(make(), faults), spec)
    assert find_red(judge_version(raw, spec, make_limits(()))) == set(faults)
    limits = make_limits(faults)
    collected = Collected(source=SourceRecord(type="csv", digest=""), dataset=describe_version(raw))
    report = gate_raw.fn(str(tmp_path), collected, spec, limits)
    assert report.passed
    places = {about: f"rows.csv:{rows[0]}" for about, (_, rows, _) in faults.items()}
    for check in report.checks:
        if check.about in faults:
            assert (check.severity, check.contained) == ("quarantine", True)
            assert check.rows[0].endswith(f"source {places[check.about]}")
    listed = {row["source"]: row["reason"] for row in list_quarantined(raw)}
    assert set(listed) == set(places.values())
    assert all(about in listed[place] for about, place in places.items())
    cleaned = find_cleaned(raw)
    assert not find_red(judge_version(cleaned, spec, make_limits(())))
    assert not find_red(judge_prepared(PreparedGate(), prepare(raw, spec)))


def test_rows_out_of_order_are_set_aside_over_the_borders_of_shards(tmp_path):
    columns = make_series()
    order = np.arange(1200)
    order[[100, 101, 700, 701]] = order[[101, 100, 701, 700]]
    order[600:603] = [602, 600, 601]  # mill b begins with its third row
    columns = {name: values[order] for name, values in columns.items()}
    collect(tmp_path / "files", columns, SERIES)
    dataset = Dataset(Store(tmp_path), "flows-raw")
    raw = collect_rows(
        CsvSource(url=str(tmp_path / "files")), dataset, spec=SERIES, target_shard_bytes=4000
    )
    bounds = [entry.source[0].start for entry in raw.shards]
    assert len(bounds) > 5
    limits = make_limits(["rows out of order in time, fraction"], max_unsorted_fraction=0)
    assert find_red(judge_version(raw, SERIES, make_limits((), max_unsorted_fraction=0))) == {
        "rows out of order in time, fraction"
    }
    report = judge_version(raw, SERIES, limits)
    assert report.passed, report.reasons
    assert quarantine_rows(raw, SERIES, limits.raw, report) == 4
    late = {f"rows.csv:{row}" for row in (101, 601, 602, 701)}
    assert {row["source"] for row in list_quarantined(raw)} == late
    assert not find_red(
        judge_version(find_cleaned(raw), SERIES, make_limits((), max_unsorted_fraction=0))
    )


def test_more_than_may_be_set_aside_stop_and_nothing_is_set_aside(tmp_path):
    raw = collect(tmp_path / "t", spoil(make_table(), {"missing": ("heat", [3, 4], "")}), TABLE)
    report = judge_version(raw, TABLE, make_limits(["missing share of a column"], most=0.001))
    assert find_red(report) == {"missing share of a column"}
    assert "2 rows, a fraction of 0.001666666667, stops" in report.reasons[0]
    assert quarantine_rows(raw, TABLE, make_limits(["missing share of a column"]).raw, report) == 0


def test_a_check_that_passes_sets_nothing_aside(tmp_path):
    raw = collect(tmp_path / "t", spoil(make_table(), {"missing": ("heat", [3], "")}), TABLE)
    limits = make_limits(["missing share of a column"], max_missing_fraction=0.2)
    assert quarantine_rows(raw, TABLE, limits.raw, judge_version(raw, TABLE, limits)) == 0
    assert find_cleaned(raw) == raw


def test_a_released_row_is_kept_the_next_time(tmp_path):
    raw = collect(tmp_path / "t", spoil(make_table(), TABLE_FAULTS), TABLE)
    limits = make_limits(TABLE_FAULTS)
    report = judge_version(raw, TABLE, limits)
    assert quarantine_rows(raw, TABLE, limits.raw, report) == 5
    row = next(row for row in list_quarantined(raw) if row["source"] == "rows.csv:3")
    release_rows(raw.dataset.workspace, raw.name, [int(row["row_id"], 0)])
    again = raw.dataset.replace(raw.shards, kind="raw")
    assert quarantine_rows(again, TABLE, limits.raw, report) == 4


def make_images(folder, faults):
    rng = np.random.default_rng(0)
    dataset = Dataset(Store(folder), "eyes-raw")
    image = rng.random((400, 1, 6, 6)).astype(np.float32)
    rows = {"image": image, "label": np.arange(400) % 2, "label__valid": np.ones(400, np.bool_)}
    faults(rows)
    rows["content_hash"] = hash_contents({"image": rows["image"]})
    rows["row_id"] = np.arange(400, dtype=np.uint64) + 1000
    entries = []
    for start in (0, 200):
        span = Span(name="eyes.bin", start=start, stop=start + 200)
        part = {name: values[start : start + 200] for name, values in rows.items()}
        entries.append(write_shard(dataset.shards, part, source=(span,)))
    return dataset.commit(entries, kind="raw", parent=None)


def test_images_are_set_aside_for_what_is_wrong_with_them(tmp_path):
    def spoil_images(rows):
        rows["image"][5, 0, 0, 0] = 7
        rows["image"][210, 0, 0, 0] = -1
        rows["image"][15, 0, 1, 1] = np.nan
        rows["image"][20] = np.inf
        rows["image"][399] = rows["image"][0]
        rows["label"][25] = 2
        rows["label__valid"][230] = False

    data = ImageSpec.model_validate(
        {
            "image": {"dtype": "float32", "shape": [1, 6, 6], "value_range": [0, 1]},
            "labels": ["shut", "open"],
        }
    )
    raw = make_images(tmp_path, spoil_images)
    abouts = {"image.min", "image.max", "image.missing", "image.inf", "label", "duplicate fraction"}
    assert find_red(judge_version(raw, data, make_limits(()))) == abouts
    limits = make_limits(abouts, most=0.02)
    report = judge_version(raw, data, limits, Accepted(None, "first"))
    assert report.passed, report.reasons
    assert quarantine_rows(raw, data, limits.raw, report) == 7
    reasons = {row["source"]: row["reason"] for row in list_quarantined(raw)}
    assert {place: "image.max" in reason for place, reason in reasons.items()} == {
        f"eyes.bin:{row}": row in (5, 20) for row in (5, 15, 20, 25, 210, 230, 399)
    }
    assert "label" in reasons["eyes.bin:25"]
    assert "duplicate fraction" in reasons["eyes.bin:399"]
    assert not find_red(judge_version(find_cleaned(raw), data, make_limits(())))
