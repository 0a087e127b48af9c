import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.engine.judge import find_quarantined, run_suite
from gates.engine.report import GateReport
from gates.engine.suite import Suite, expect
from gates.engine.tables import Table

FRAME = pd.DataFrame({"value": [1.0, 2.0, 3.0], "name": ["a", "b", "c"]})


def judge(frame, *expectations):
    return run_suite(Suite(stage="raw", expectations=expectations), {"rows": Table(frame)})


def test_an_empty_suite_never_passes():
    assert not judge(FRAME).passed


def test_an_empty_table_never_passes():
    report = judge(
        FRAME.iloc[:0],
        expect("expect_column_values_to_be_between", "rows", column="value", min_value=0),
    )
    assert report.reasons == (
        "expect_column_values_to_be_between on value: observed nothing, limit >= 0; table rows "
        "is empty",
    )


def test_a_missing_table_never_passes():
    report = judge(FRAME, expect("expect_table_row_count_to_be_between", "others", min_value=0))
    assert report.reasons[0].endswith("table others is missing")


def test_a_missing_column_never_passes_and_leaves_the_others_alone():
    report = judge(
        FRAME,
        expect("expect_column_values_to_be_between", "rows", column="none", min_value=0),
        expect("expect_column_max_to_be_between", "rows", column="value", max_value=3),
    )
    assert [check.passed for check in report.checks] == [False, True]
    assert 'column "none" in BatchData does not exist' in report.reasons[0]


def test_an_unknown_rule_never_passes_and_leaves_the_others_alone():
    report = judge(
        FRAME,
        expect("expect_miracles", "rows", column="value"),
        expect("expect_column_max_to_be_between", "rows", column="value", max_value=3),
    )
    assert [check.passed for check in report.checks] == [False, True]
    assert "expect_miracles not found" in report.reasons[0]


def test_a_rule_that_raises_never_passes():
    report = judge(
        FRAME, expect("expect_column_mean_to_be_between", "rows", column="name", min_value=0)
    )
    assert not report.passed


def test_a_warning_does_not_stop():
    report = judge(
        FRAME,
        expect(
            "expect_column_max_to_be_between", "rows", column="value", max_value=2, severity="warn"
        ),
        expect("expect_column_min_to_be_between", "rows", column="value", min_value=1),
    )
    assert report.passed
    assert report.warnings == (
        "expect_column_max_to_be_between on value: observed 3, limit <= 2; row 2",
    )
    assert report.reasons == ()


def test_few_bad_rows_are_set_aside_and_many_stop():
    frame = pd.DataFrame({"value": np.arange(100.0), "other": np.arange(100.0)})
    between = "expect_column_values_to_be_between"
    for most, passed in ((0.05, True), (0.02, False)):
        expectations = (
            expect(
                between,
                "rows",
                column="value",
                max_value=95,
                severity="quarantine",
                max_fraction=most,
            ),
            expect(
                between,
                "rows",
                column="other",
                min_value=1,
                severity="quarantine",
                max_fraction=most,
            ),
        )
        suite = Suite(stage="raw", expectations=expectations)
        report = run_suite(suite, {"rows": Table(frame)})
        assert report.passed is passed
        assert not report.checks[0].passed
    assert find_quarantined(suite, {"rows": Table(frame)}) == {
        "rows": {
            0: (f"{between} on other",),
            **dict.fromkeys((96, 97, 98, 99), (f"{between} on value",)),
        }
    }


def test_offending_rows_are_capped():
    frame = pd.DataFrame({"value": np.arange(70_000.0)})
    report = judge(
        frame, expect("expect_column_values_to_be_between", "rows", column="value", max_value=9)
    )
    assert report.checks[0].rows == tuple(f"row {row}" for row in range(10, 30))
    assert report.checks[0].observed["unexpected"] == 69_990


RULES = [
    ("expect_column_max_to_be_between", {"min_value": -1e308}),
    ("expect_column_min_to_be_between", {"max_value": 1e308}),
    ("expect_column_mean_to_be_between", {"min_value": -1e308}),
    ("expect_column_sum_to_be_between", {"min_value": -1e308}),
    ("expect_column_stdev_to_be_between", {"min_value": 0}),
    ("expect_column_median_to_be_between", {"min_value": -1e308}),
    ("expect_column_values_to_be_between", {"min_value": -1e308}),
    ("expect_column_values_to_not_be_null", {}),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(width=32, allow_nan=True, allow_infinity=True)),
        min_size=0,
        max_size=4,
    )
)
def test_no_missing_or_infinite_observation_ever_passes(values):
    frame = pd.DataFrame({"value": pd.Series(values, dtype="float64")})
    report = judge(
        frame, *(expect(rule, "rows", column="value", **limits) for rule, limits in RULES)
    )
    assert len(report.checks) == len(RULES)
    finite = [value for value in values if value is not None and not math.isnan(value)]
    for check in report.checks:
        if check.passed:
            assert finite
            assert check.observed is not None
            figures = (
                check.observed if isinstance(check.observed, dict) else {"value": check.observed}
            )
            assert all(math.isfinite(figure) for figure in figures.values())
    if len(finite) < len(values) or not values:
        assert not report.passed
    assert GateReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.slow
def test_great_expectations_is_not_imported_before_it_is_needed():
    code = "import sys, gates.raw.forms, gates.prepared.prepared_gate, gates.model.objectives;"
    code += "import gates.artifact, gates.drift.drift_gate, gates.specs.sections;"
    code += "print([name for name in ('great_expectations', 'pandas') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
