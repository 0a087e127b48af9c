import json
import re
import warnings

import pytest
from pydantic import ValidationError

from gates.engine.custom import OwnExpectation, build_own_suite, parse_suite, read_suite
from gates.engine.on_fail import apply_on_fail
from gates.errors import SuiteError
from gates.raw.forms import judge_raw
from gates.specs.raw import RawGate
from gates.specs.sections import GatesSpec
from tests.gates.builders import make_raw_facts

BETWEEN = {"column": "level", "min_value": 0, "max_value": 1}


def test_the_three_ways_give_the_same_suite():
    stated = OwnExpectation(
        type="expect_column_values_to_be_between", kwargs=BETWEEN, on_fail="warn"
    )
    document = {
        "name": "mine",
        "expectations": [
            {
                "type": stated.type,
                "kwargs": {**BETWEEN, "mostly": None},
                "meta": {"on_fail": "warn"},
            }
        ],
    }
    old = [{"expectation_type": stated.type, "kwargs": BETWEEN, "meta": {"on_fail": "warn"}}]
    assert (
        parse_suite(json.dumps(document), "a.json")
        == parse_suite(json.dumps(old), "b.json")
        == (stated,)
    )
    assert read_suite([stated], "m:f") == (stated,)
    assert read_suite([{"type": stated.type, "kwargs": BETWEEN, "on_fail": "warn"}], "m:f") == (
        stated,
    )


def test_great_expectations_own_objects_are_read():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the vendor's own imports
        from great_expectations.expectations import ExpectColumnValuesToBeBetween

    made = [ExpectColumnValuesToBeBetween(column="level", min_value=0, max_value=1)]
    (found,) = read_suite(made, "m:f")
    assert (found.type, found.kwargs["column"]) == ("expect_column_values_to_be_between", "level")


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"expectations": [{"kwargs": {}}]}', '{"expectations": [7]}', "7"]
)
def test_what_is_no_suite_is_refused_by_its_name(text):
    with pytest.raises(SuiteError, match=r"suite \(bad.json\) must be Great Expectations' JSON"):
        parse_suite(text, "bad.json")
    with pytest.raises(SuiteError, match="return a list"):
        read_suite("text", "m:f")


def test_a_key_that_stands_twice_is_refused():
    kwargs = '{"column": "level", "max_value": 1, "max_value": 9}'
    text = f'[{{"type": "expect_column_values_to_be_between", "kwargs": {kwargs}}}]'
    with pytest.raises(SuiteError, match=r"bad\.json.*key 'max_value' stands twice; write it once"):
        parse_suite(text, "bad.json")


def test_on_fail_in_a_recipe():
    limits = GatesSpec.model_validate(
        {
            "raw": {
                "on_fail": {"duplicate fraction": "warn"},
                "expectations": [
                    {
                        "type": "expect_column_values_to_be_between",
                        "kwargs": BETWEEN,
                        "on_fail": {"quarantine": {"max_fraction": 0.01}},
                    }
                ],
            }
        }
    )
    (item,) = build_own_suite(limits.raw.expectations, "raw").expectations
    assert (item.severity, item.max_fraction, item.table) == ("quarantine", 0.01, "rows")
    for wrong in ("ignore", {"quarantine": {}}, {"quarantine": {"max_fraction": 2}}):
        with pytest.raises(ValidationError):
            OwnExpectation(type="expect_x", on_fail=wrong)


QUARANTINE = {"quarantine": {"max_fraction": 0.01}}


@pytest.mark.parametrize(
    ("limits", "remedy"),
    [
        (
            {
                "raw": {
                    "expectations": [
                        {"type": "expect_column_mean_to_be_between", "on_fail": QUARANTINE}
                    ]
                }
            },
            "each row",
        ),
        ({"prepared": {"on_fail": {"label": QUARANTINE}}}, "write it under gates.raw.on_fail"),
        ({"drift": {"on_fail": {"*": QUARANTINE}}}, "write it under gates.raw.on_fail"),
    ],
)
def test_what_is_not_about_rows_cannot_set_them_aside(limits, remedy):
    with pytest.raises(ValidationError, match=re.escape(remedy)):
        GatesSpec.model_validate(limits)


def test_a_check_that_warns_lets_the_run_go_on_and_says_so():
    report = judge_raw("image", RawGate(min_rows=5000), make_raw_facts())
    assert not report.passed
    softened = apply_on_fail(report, {"row *": "warn"})
    assert softened.passed
    assert "row count" in softened.warnings[0]
    assert softened.suite_digest != report.suite_digest
    assert not apply_on_fail(report, {"labels": "warn"}).passed
    assert apply_on_fail(report, {}) is report
