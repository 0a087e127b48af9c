import datetime
import math

import numpy as np
import pytest
from pydantic import ValidationError

from gates.engine.report import Check, GateReport, is_proven, skip_check, to_plain, verdict


def make_check(**changes):
    fields = {
        "rule": "r",
        "about": "a",
        "observed": 1,
        "limit": {"max_value": 2},
        "passed": True,
        "message": "m",
    }
    return Check(**(fields | changes))


@pytest.mark.parametrize("observed", [None, "NaN", "Infinity", [1, None], {"value": "NaN"}])
def test_a_check_cannot_pass_without_a_finite_observation(observed):
    with pytest.raises(ValidationError, match="must fail without a finite observation"):
        make_check(observed=observed)
    assert not make_check(observed=observed, passed=False).passed


def test_a_report_cannot_pass_over_a_failed_check_or_none():
    failed = make_check(passed=False)
    for checks in ((), (failed,), (make_check(), failed), (skip_check("r", "a", "none"),)):
        assert not verdict(checks)
        with pytest.raises(ValidationError, match="must follow from its checks"):
            GateReport(stage="raw", passed=True, checks=checks, suite_digest="d")


def test_a_failed_warning_lets_the_report_pass():
    assert verdict((make_check(), make_check(passed=False, severity="warn")))


def test_records_survive_json():
    report = GateReport(
        stage="raw",
        passed=False,
        suite_digest="d",
        checks=(make_check(observed="NaN", passed=False, rows=("row 1",)),),
    )
    assert GateReport.model_validate_json(report.model_dump_json()) == report


def test_plain_values_hold_no_vendor_types():
    plain = to_plain(
        {
            "f": np.float64("nan"),
            "i": np.int64(3),
            "a": np.array([1.5, np.inf]),
            "s": {"b", "a"},
            "d": datetime.date(2026, 1, 2),
            "n": math.nan,
            "b": np.bool_(True),
        }
    )
    assert plain == {
        "f": "NaN",
        "i": 3,
        "a": [1.5, "Infinity"],
        "s": ["a", "b"],
        "d": "2026-01-02",
        "n": "NaN",
        "b": True,
    }
    assert not is_proven(plain["a"])
