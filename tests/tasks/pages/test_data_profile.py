"""A run's page shows all of its raw rows' gaps and classes, and which rows were set aside."""

from datetime import UTC, datetime

import numpy as np
import pytest

from storage.records.receipts import SourceRecord
from storage.upkeep.quarantine import set_aside
from tasks.data.collect import describe_version
from tasks.pages.data_profile import MOST_NAMED, profile_data
from tasks.runtime.outcomes import Collected
from tasks.runtime.run_record import RunRecord
from tests.tasks.gates.mills import TABLE, collect, make_table


@pytest.fixture
def raw(tmp_path):
    columns = make_table(rows=400)
    columns["heat"][:40] = ""
    return collect(tmp_path / "a", columns, TABLE)


def describe(raw):
    outcome = Collected(source=SourceRecord(type="csv", digest=""), dataset=describe_version(raw))
    record = RunRecord(
        run="r",
        flow="lifecycle",
        required_gates=(),
        workspace="",
        recipe={"name": "mills", "document": {"data": TABLE.model_dump(mode="json")}},
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return profile_data(raw.dataset.workspace, record.with_stage("collect", outcome, 1.0))


def test_all_rows_are_counted_where_pictures_are_of_some(raw, monkeypatch):
    monkeypatch.setattr("tasks.pages.data_profile.MOST_ROWS", 100)
    profile = describe(raw)
    assert (profile.seen, profile.rows) == (100, 400)
    assert {column.name: column.missing for column in profile.columns} == {
        "heat": 0.1,
        "load": 0.0,
        "kind": 0.0,
    }
    labels = raw.read(fields=["label"])["label"]
    assert profile.classes == dict(zip(TABLE.labels, np.bincount(labels).tolist(), strict=True))
    assert profile.set_aside_count == 0


def test_rows_that_were_set_aside_are_named_with_their_source_and_why(raw):
    ids = raw.read(fields=["row_id"])["row_id"][: MOST_NAMED + 3].tolist()
    set_aside(raw, {int(row): "too hot" for row in ids})
    profile = describe(raw)
    assert profile.set_aside_count == MOST_NAMED + 3
    assert len(profile.set_aside) == MOST_NAMED
    row, reason, source = profile.set_aside[0]
    assert reason == "too hot"
    assert source == f"rows.csv:{[f'0x{each:016x}' for each in ids].index(row)}"
