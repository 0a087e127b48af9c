"""A fleet's answers are held against the rows that were collected; digits are in one part only."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deployments.targets.fleet.ledger import Answered, Ledger, Sample
from deployments.targets.fleet.plan import Decided, Outcome
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.shards.row_ids import LABEL, ROW_ID, hash_member_ids
from storage.shards.writing import write_shard
from tasks.data.fleet_digits import split_digits
from tasks.data.fleet_rows import hold_rows

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def make_outcome(count: int, collected: int) -> Outcome:
    answers = [
        Answered(f"d1:{n}", "d1", 0, "a" * 64, {}, Sample(b"", ""), 1.0, NOW) for n in range(count)
    ]
    decided = Decided(0, "nothing", (), collected, None, 1, collected, NOW, 1.0)
    return Outcome(NOW, Ledger(answers), decided=[decided])


def write_row(store: Store, name: str, answer_id: str, label: int) -> None:
    dataset = Dataset(store, name)
    rows = {ROW_ID: hash_member_ids([answer_id]), LABEL: np.array([label])}
    dataset.append([write_shard(dataset.shards, rows)])


@pytest.mark.parametrize(
    ("rows", "held"),
    [([0, 1, 2], True), ([0, 1], False), ([0, 1, 2, 2], False), ([0, 1, 2, 3], True)],
)
def test_each_collected_answer_is_one_row(rows: list[int], held: bool, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for label, row in enumerate(rows):
        write_row(store, "turning-feedback", f"d{1 + row // 3}:{row}", label)
    found = hold_rows(store, "turning", make_outcome(5, collected=3))
    assert found.held is held, found.detail


def test_no_dataset_is_no_proof(tmp_path: Path) -> None:
    assert not hold_rows(Store(tmp_path), "turning", make_outcome(5, collected=3)).held


def test_no_digit_is_in_both_parts() -> None:
    first, others = split_digits()
    assert (len(first.labels), len(others.labels)) == (1000, 797)
    seen = {picture.tobytes() for picture in first.pictures}
    assert not [picture for picture in others.pictures if picture.tobytes() in seen]
    assert set(others.labels.tolist()) == set(range(10))
