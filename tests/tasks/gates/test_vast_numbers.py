"""Finite numbers that a model cannot take: told by the raw gate, never by an inner error."""

import numpy as np
import pytest

from gates.specs.sections import GatesSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.measures import measure_columns
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.sources.csv import CsvSource
from tasks.gates.raw import judge_version

SPEC = TableSpec(numbers=("x",), label="y", labels=("a", "b"))


@pytest.mark.parametrize("vast", ["1e300", "-1e39", "1.7976931348623157e308"])
def test_the_raw_gate_counts_them(tmp_path, vast):
    lines = [f"{vast if n % 4 == 0 else n},{'ab'[n % 2]}" for n in range(400)]
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *lines]) + "\n")
    source = CsvSource(url=str(tmp_path / "a.csv"))
    version = collect_rows(source, Dataset(Store(str(tmp_path / "ws")), "raw"), spec=SPEC)
    report = judge_version(version, SPEC, GatesSpec())
    reasons = [reason for reason in report.reasons if "infinite share" in reason]
    assert len(reasons) == 1
    assert "0.25" in reasons[0]
    assert "3.4e38" in reasons[0]


def test_what_is_measured_stays_finite():
    values = np.array([[1e300], [3.0], [np.inf], [5.0], [-1e308]])
    moments = measure_columns(values, np.ones((5, 1), np.bool_))
    assert (moments.count, moments.mean, moments.std) == ((2,), (4.0,), (1.0,))
