import numpy as np
import pytest

from storage.base.errors import InvalidInput, NotFound
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.entry import Span
from storage.shards.row_ids import hash_contents
from storage.shards.writing import write_shard
from storage.upkeep.quarantine import (
    describe_rows,
    find_cleaned,
    find_released,
    name_quarantine,
    read_quarantine,
    release_rows,
    set_aside,
)


@pytest.fixture
def raw(tmp_path):
    dataset = Dataset(Store(tmp_path), "mills-raw")
    values = np.arange(20.0)
    entries = []
    for start in (0, 10):
        rows = {"level": values[start : start + 10]}
        rows["content_hash"] = hash_contents(rows)
        rows["row_id"] = np.arange(start, start + 10, dtype=np.uint64)
        span = Span(name="mill.csv", start=start, stop=start + 10)
        entries.append(write_shard(dataset.shards, rows, source=(span,)))
    return dataset.commit(entries, kind="raw", parent=None)


def test_rows_are_set_aside_with_reason_source_and_id(raw):
    cleaned = set_aside(raw, {3: "too hot", 12: "too cold"})
    assert (raw.rows, cleaned.rows) == (20, 18)
    assert find_cleaned(raw) == cleaned
    again = raw.dataset.replace(raw.shards, kind="raw")
    assert find_cleaned(again) == again
    assert set_aside(again, {3: "too hot", 12: "too cold"}).rows == 18  # and nothing is there twice
    listed = describe_rows(read_quarantine(raw.dataset.workspace, raw.name))
    assert listed == [
        {
            "row_id": "0x0000000000000003",
            "reason": "too hot",
            "source": "mill.csv:3",
            "origin": "mills-raw@0",
        },
        {
            "row_id": "0x000000000000000c",
            "reason": "too cold",
            "source": "mill.csv:12",
            "origin": "mills-raw@0",
        },
    ]


def test_released_rows_are_remembered_by_what_they_hold(raw):
    set_aside(raw, {3: "too hot", 12: "too cold"})
    workspace = raw.dataset.workspace
    assert release_rows(workspace, raw.name, [3]) == 1
    assert find_released(raw, [3, 12]) == {3}
    assert [row["row_id"] for row in describe_rows(read_quarantine(workspace, raw.name))] == [
        "0x000000000000000c"
    ]
    assert release_rows(workspace, raw.name, [12]) == 1
    assert describe_rows(read_quarantine(workspace, raw.name)) == []


def test_what_is_not_there_is_named(raw):
    workspace = raw.dataset.workspace
    assert find_cleaned(raw) == raw
    with pytest.raises(NotFound, match="must have a quarantine"):
        read_quarantine(workspace, raw.name)
    set_aside(raw, {3: "too hot"})
    with pytest.raises(NotFound, match=r"rows \[7\] must be in the quarantine of mills-raw"):
        release_rows(workspace, raw.name, [3, 7])
    with pytest.raises(InvalidInput, match="at least one"):
        release_rows(workspace, raw.name, [])
    assert name_quarantine(raw.name) == "mills-quarantine"
